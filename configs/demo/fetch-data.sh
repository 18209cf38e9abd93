#!/usr/bin/env bash
# The demonstration's data: about 4000 real pictures with a short caption each, and plain English text, both from
# Debian packages. Writes
#   OUTDIR/pictures.json, OUTDIR/images/   captioned pictures, LLaVA form
#   OUTDIR/held-out.json                   a tenth of them, for measuring only
#   OUTDIR/captions.json                   the captions of pictures.json, words in the pictures' place
#   OUTDIR/text.json                       text without pictures
#   OUTDIR/packages/                       the packages (320 MB), fetched once
# Does nothing where these are finished. Nothing is installed and root is not needed.
# usage: fetch-data.sh OUTDIR
# needs: python3; apt-get, or the packages put into OUTDIR/packages by hand
# licences: tuxpaint-stamps-default GPL-2+; openclipart public domain; wordnet-base WordNet 3.0 licence;
#           gnome-user-docs CC-BY-SA 3.0; dict-foldoc GFDL 1.1+ without invariant sections
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
packages="tuxpaint-stamps-default openclipart-png openclipart-svg wordnet-base gnome-user-docs dict-foldoc"

case "${1:-}" in
    --help) sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 0 ;;
    "" | -*) sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
command -v python3 >/dev/null || { echo "fetch-data.sh: python3 is needed" >&2; exit 69; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
if [ -e "$out/pictures.json" ]; then
    echo "fetch-data.sh: $out is finished, nothing to do"
    exit 0
fi

mkdir -p "$out/packages"
have() { compgen -G "$out/packages/$1_*.deb" >/dev/null; }
by_hand() { # WHY
    cat >&2 <<EOF
fetch-data.sh: $1
Put the Debian packages (any recent version, *.deb) of these names into $out/packages and start again:
  $packages
They are in every Debian release's "main" and install nothing here: their contents are only read.
EOF
    exit 69
}
for package in $packages; do
    if ! have "$package"; then
        command -v apt-get >/dev/null || by_hand "no apt-get here to download $package."
        echo "fetch-data.sh: downloading $package"
        # Into a folder of its own first, so that a broken download is never taken for a package.
        rm -rf "$out/packages/part"
        mkdir "$out/packages/part"
        # As root apt would drop to a user who may not write here.
        (cd "$out/packages/part" && apt-get -q -o APT::Sandbox::User=root download "$package") ||
            by_hand "apt-get cannot download $package (are the package lists there? apt-get update)."
        mv "$out/packages/part"/*.deb "$out/packages/"
        rmdir "$out/packages/part"
    fi
done

exec python3 -B "$here/convert-data.py" "$out"
