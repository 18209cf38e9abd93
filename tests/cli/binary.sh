# Writing binary files from the shell; sourced.

# little N BYTES: N as a little-endian integer, for files in binary.
little() {
    local n=$1 i
    for ((i = 0; i < $2; i++)); do
        printf "\\x$(printf %02x $((n & 255)))"
        n=$((n >> 8))
    done
}

# safetensors HEADER_JSON: a file's beginning; its data follows.
safetensors() {
    little ${#1} 8
    printf %s "$1"
}
