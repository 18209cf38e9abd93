#!/bin/sh
# Real text in 24 languages, 107 MB (Hindi's is nearly all English still, Vietnamese's mostly), for check_tokenizer.py:
# the help of LibreOffice (Debian packages libreoffice-help-*, MPL 2.0), a text file a language, markup removed, each line once.
# usage: fetch_help_texts.sh OUTDIR [LANGUAGE...]     needs: apt-get (package lists up to date), dpkg-deb, python3
set -eu
[ $# -ge 1 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
mkdir -p "$1"; out=$(cd "$1" && pwd); shift
[ $# -ge 1 ] || set -- en-us de fr es ru zh-cn zh-tw ja ko hi vi el km it pt-br pl tr cs fi hu sv nl da ca
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT; cd "$tmp"
for language; do
    apt-get -qq -o APT::Sandbox::User=root download "libreoffice-help-$language"
    dpkg-deb -x libreoffice-help-"$language"_*.deb "x-$language"
    python3 - "x-$language" "$out/$language.txt" <<'PY'
import glob, html, re, sys
seen, size = set(), 0
with open(sys.argv[2], "w", encoding="utf-8") as out:
    for path in sorted(glob.glob(sys.argv[1] + "/**/*.html", recursive=True)):
        text = open(path, encoding="utf-8", errors="replace").read()
        text = re.sub(r"(?is)<(script|style)\b.*?</\1>|<!--.*?-->", " ", text)
        text = html.unescape(re.sub(r"(?i)</(p|h\d|li|td|tr|div|pre)>|<br\s*/?>", "\n", text).replace("\r", ""))
        text = html.unescape(re.sub(r"<[^>]*>", "", text))
        for line in text.split("\n"):
            if line.strip() and line not in seen:
                seen.add(line)
                size += out.write(line + "\n")
        out.write("\n")
print(sys.argv[2], size, "characters")
PY
    rm -rf "x-$language"
done
