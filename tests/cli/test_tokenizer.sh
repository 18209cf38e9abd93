#!/usr/bin/env bash
# tokenizer train, encode, decode.
. "$(dirname "$0")/lib.sh"

make_tokenizer tok
expect_code 0 "" "$GRADUS" tokenizer train --data tok.data tok.data --vocabulary 280 --out twice
expect_code 0 "" "$GRADUS" tokenizer train --vocabulary 280 --data tok.data --out same
cmp tok/tokenizer.json same/tokenizer.json || fail "the same texts gave another tokenizer"
expect_json tok/tokenizer.json

# Plain texts give the same tokenizer as conversations with the same texts.
cat >texts.json <<END
[{"id": 0, "conversations": [{"from": "human", "value": "the banana of the band"}, {"from": "gpt", "value": "the bandana of the banner"}]}]
END
expect_code 0 "" "$GRADUS" data import --from llava texts.json --out texts.data
printf 'the banana of the band' >one.txt
printf 'the bandana of the banner' >two.txt
expect_code 0 "^ids 276$" "$GRADUS" tokenizer train --data texts.data --vocabulary 276 --out of.data
expect_code 0 "^texts 2$" "$GRADUS" tokenizer train --text one.txt two.txt --vocabulary 276 --out of.text
cmp of.data/tokenizer.json of.text/tokenizer.json || fail "plain texts gave another tokenizer"
expect_code 0 "^texts 8$" "$GRADUS" tokenizer train --text one.txt two.txt --data tok.data --vocabulary 280 --out of.both
expect_usage "nothing to learn from: give --data DIR, --text FILE, or both" "$GRADUS" tokenizer train --vocabulary 280 --out x
expect_usage "one.txt is a file, expected a data set; plain text goes to --text" "$GRADUS" tokenizer train --data one.txt --vocabulary 280 --out x
expect_code 66 "nowhere.txt" "$GRADUS" tokenizer train --text nowhere.txt --vocabulary 280 --out x
printf 'a\xffb' >latin.txt
expect_code 65 "latin.txt: text is not UTF-8: byte 0xff" "$GRADUS" tokenizer train --text one.txt latin.txt --vocabulary 280 --out x

# There and back, from the command line and from standard input.
text="What is the banner, 123? ÄÖ 世界"
expect_code 0 "^[0-9]+( [0-9]+)*$" "$GRADUS" tokenizer encode --tokenizer tok "$text"
ids=$(cat stdout)
[ "$(wc -w <<<"$ids")" -lt "$(printf %s "$text" | wc -c)" ] || fail "no merge was used"
expect_code 0 "" "$GRADUS" tokenizer decode --tokenizer tok "$ids"
[ "$(cat stdout)" = "$text" ] || fail "decode(encode(text)) is not the text"
[ "$(printf %s "$text" | "$GRADUS" tokenizer encode --tokenizer tok)" = "$ids" ] || fail "standard input gave other ids"
[ "$(echo "$ids" | "$GRADUS" tokenizer decode --tokenizer tok)" = "$text" ] || fail "standard input gave another text"

# shellcheck disable=SC2086 # each id a word of its own, options in between
expect_code 0 "" "$GRADUS" tokenizer decode $ids --tokenizer tok
[ "$(cat stdout)" = "$text" ] || fail "ids as words of their own gave another text"
expect_code 0 "" "$GRADUS" tokenizer decode --tokenizer tok "${ids%% *}" "${ids#* }"
[ "$(cat stdout)" = "$text" ] || fail "ids in two groups gave another text"
expect_code 65 'got "-5"' "$GRADUS" tokenizer decode --tokenizer tok 1 "2 -5"
expect_code 0 "tokenizer decode .*\[ID\.\.\.\]" "$GRADUS" tokenizer decode --help

# A NUL is a byte like others, in texts; among ids it is a mistake, not the end of them.
printf 'a\0b' | "$GRADUS" tokenizer encode --tokenizer tok >nul.ids
"$GRADUS" tokenizer decode --tokenizer tok <nul.ids >nul.text
printf 'a\0b\n' | cmp - nul.text || fail "a text with a NUL came back cut off"
printf '65\0 66' >nul.ids
expect_code 65 "a NUL behind 1 of them" sh -c '"$0" tokenizer decode --tokenizer tok <nul.ids' "$GRADUS"

# Markers are ordinary text unless asked for.
expect_code 0 "^[0-9]+$" "$GRADUS" tokenizer encode --tokenizer tok --special "<|im_end|>"
end=$(cat stdout)
expect_code 0 "^[0-9]+ [0-9 ]+$" "$GRADUS" tokenizer encode --tokenizer tok "<|im_end|>"
expect_code 0 "^<\|im_end\|>$" "$GRADUS" tokenizer decode --tokenizer tok "$end"
expect_code 0 "^$" "$GRADUS" tokenizer decode --tokenizer tok --skip-special "$end"
expect_code 0 "^$" "$GRADUS" tokenizer encode --tokenizer tok ""

expect_code 65 'from 0 to 279, got "280"' "$GRADUS" tokenizer decode --tokenizer tok "1 280"
expect_code 65 'got "x1"' "$GRADUS" tokenizer decode --tokenizer tok "1 x1"
expect_code 65 "UTF-8" "$GRADUS" tokenizer encode --tokenizer tok "$(printf 'a\xff')"
expect_code 66 "tokenizer.json" "$GRADUS" tokenizer encode --tokenizer tok.data hello
expect_code 66 "nowhere" "$GRADUS" tokenizer train --data tok.data nowhere --vocabulary 280 --out x
expect_code 65 "merges" "$GRADUS" tokenizer train --data tok.data --vocabulary 100000 --out many
[ ! -e many ] || fail "a failed training left its folder"
mkdir mine
expect_code 65 "merges" "$GRADUS" tokenizer train --data tok.data --vocabulary 100000 --out mine
[ -d mine ] || fail "a folder that was there is gone"
expect_usage "is not empty" "$GRADUS" tokenizer train --data tok.data --vocabulary 280 --out tok
mkdir broken
echo '{"model": {"type": "BPE", "vocab": [], "merges": []}}' >broken/tokenizer.json
expect_code 65 "broken/tokenizer.json" "$GRADUS" tokenizer encode --tokenizer broken hello

# The older form, vocab.json and merges.txt, when there is no tokenizer.json.
mkdir parts
echo '{"a": 0, "b": 1, "ab": 2}' >parts/vocab.json
echo 'a b' >parts/merges.txt
expect_code 66 "tokenizer_config.json" "$GRADUS" tokenizer encode --tokenizer parts ab
echo '{"tokenizer_class": "Qwen2Tokenizer"}' >parts/tokenizer_config.json
expect_code 0 "^2 0$" "$GRADUS" tokenizer encode --tokenizer parts aba
expect_code 65 "byte 0x63, for which" "$GRADUS" tokenizer encode --tokenizer parts abc

# A model takes the tokenizer along; one that is too large for it is refused.
expect_code 0 "" "$GRADUS" model init --config "$here/tiny.yaml" --seed 1 --out model --tokenizer tok
expect_code 0 "" "$GRADUS" model init --config "$here/tiny.yaml" --seed 1 --out older --tokenizer parts
cmp older/vocab.json parts/vocab.json || fail "the older form was not copied"
cmp model/tokenizer.json tok/tokenizer.json || fail "the tokenizer was not copied"
sed 's/vocab_size: 320/vocab_size: 279/' "$here/tiny.yaml" >few.yaml
expect_code 65 "280 ids.*only 279" "$GRADUS" model init --config few.yaml --seed 1 --out x --tokenizer tok

echo "tokenizer: all as expected"
