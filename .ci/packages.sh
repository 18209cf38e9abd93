#!/usr/bin/env bash
# What Gradus is built, tested and shown with. Sourced by run-tests.sh and run-demo.sh, which then say
#   gr_packages_need tests        or        gr_packages_need demo
# .ci/run adds what only continuous integration wants: gr_packages_need ci.
# Nothing is done when all is there. On Debian and Ubuntu the rest is installed with apt (as root or with a
# sudo that asks no password); elsewhere each missing package is named and the caller ends with status 1.
# Usage on a terminal: .ci/packages.sh tests

# for | how to see it is there | what it is for | Debian name
gr_packages_table='
all   | command cc            | C compiler                        | gcc
all   | header  stdio.h       | C library headers                 | libc6-dev
all   | command cmake         | build                             | cmake
all   | command ninja make    | build                             | ninja-build
all   | command pkg-config    | finds the libraries               | pkg-config
all   | library openblas      | matrix products                   | libopenblas-dev
all   | command mpicc         | message passing                   | libopenmpi-dev
all   | command mpirun        | starts the ranks                  | openmpi-bin
all   | library hdf5-serial hdf5 | data shards                    | libhdf5-dev
all   | library libwebp       | WebP images                       | libwebp-dev
all   | library libjpeg       | JPEG images                       | libjpeg-dev
all   | library libpng        | PNG images                        | libpng-dev
all   | library jansson       | JSON                              | libjansson-dev
all   | library yaml-0.1      | YAML                              | libyaml-dev
all   | library libpcre2-8    | tokenizer patterns                | libpcre2-dev
all   | library libutf8proc   | Unicode                           | libutf8proc-dev
all   | library libxxhash     | digests                           | libxxhash-dev
all   | library libarchive    | tar files                         | libarchive-dev
tests | library cunit         | test framework                    | libcunit1-dev
tests | file /usr/share/i18n/locales/de_DE | a locale with decimal commas | locales
fuzz  | command clang         | fuzz targets                      | clang
fuzz  | clang   -fopenmp      | its OpenMP                        | libomp-dev
demo  | command python3       | fetches the demonstration data    | python3
wish  | header  dnnl.h        | bf16 matrix products              | libdnnl-dev
ci    | command clang-format-14 | the style of the sources        | clang-format-14
ci    | command clang-14      | thread sanitizer                  | clang-14
ci    | clang-14 -fsanitize=thread | thread sanitizer             | libclang-rt-14-dev
ci    | clang-14 -fopenmp     | thread sanitizer that knows OpenMP | libomp-14-dev
'

# gr_packages_have KIND NAME...: one of the names is enough.
gr_packages_have() {
    local kind=$1 name
    shift
    for name in "$@"; do
        case $kind in
            command) command -v "$name" >/dev/null && return 0 ;;
            library) pkg-config --exists "$name" 2>/dev/null && return 0 ;;
            clang | clang-14) # links with the option NAME
                echo 'int main(void) { return 0; }' | "$kind" "$name" -x c - -o /dev/null 2>/dev/null && return 0 ;;
            file) [ -e "$name" ] && return 0 ;;
            header) echo "#include <$name>" | cc -E - >/dev/null 2>&1 && return 0 ;;
        esac
    done
    return 1
}

# Lines "DEBIAN-NAME|PURPOSE" of what PURPOSE (tests, demo, ci; wish: what the program can be built without) needs and this
# machine lacks.
gr_packages_missing() {
    local who test purpose debian
    while IFS='|' read -r who test purpose debian; do
        who=${who// /} debian=${debian// /} purpose=${purpose#"${purpose%%[! ]*}"}
        # shellcheck disable=SC2086 # the test is a kind and names
        if [ "$who" = "$1" ] || { [ "$who" = all ] && [ "$1" != wish ]; }; then
            gr_packages_have $test || echo "$debian|${purpose%"${purpose##*[! ]}"}"
        fi
    done <<<"$gr_packages_table"
}

gr_packages_apt() { # PACKAGE...
    local as_root=""
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 1
        as_root="sudo -n"
    fi
    local apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300"
    $apt update -qq && $apt install -y -qq --no-install-recommends "$@" >/dev/null
}

# Tries for what the program can do without; never an error, and CMake says what was left out.
gr_packages_wish() {
    local names
    names=$(gr_packages_missing wish | cut -d '|' -f 1 | tr '\n' ' ')
    # shellcheck disable=SC2086 # a list of names
    [ -z "$names" ] || ! command -v apt-get >/dev/null || gr_packages_apt $names </dev/null >/dev/null 2>&1 ||
        echo "notice: cannot install $names; going on without" >&2
}

gr_packages_need() {
    local missing names
    gr_packages_wish
    missing=$(gr_packages_missing "$1")
    [ -n "$missing" ] || return 0
    names=$(cut -d '|' -f 1 <<<"$missing" | tr '\n' ' ')
    if command -v apt-get >/dev/null; then
        echo "Installing: $names" >&2
        # shellcheck disable=SC2086 # a list of names
        gr_packages_apt $names </dev/null >&2 && missing=$(gr_packages_missing "$1")
        [ -n "$missing" ] || return 0
    fi
    echo "Missing on this machine (Debian names; other systems call them alike):" >&2
    awk -F '|' '{ printf "    %-18s %s\n", $1, $2 }' <<<"$missing" >&2
    command -v apt-get >/dev/null &&
        echo "As root: apt-get install --no-install-recommends $names" >&2
    return 1
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    gr_packages_need "${1:-tests}"
fi
