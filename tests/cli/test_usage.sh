#!/usr/bin/env bash
# Help, version, and mistakes on the command line.
. "$(dirname "$0")/lib.sh"

commands="doctor|model init|model info|model export|data import|data synth|data info|data show|data check|tokenizer train
tokenizer encode|tokenizer decode|debug step|debug pictures|generate|train|verify|diff"

expect_code 0 "^gradus [0-9]+\.[0-9]+\.[0-9]+$" "$GRADUS" --version
expect_code 0 "^Usage: gradus COMMAND" "$GRADUS" --help
[ ! -s stderr ] || fail "help belongs on standard output"
mv stdout overview
echo "$commands" | tr '|' '\n' | while read -r command; do
    grep -q "^  $command  *[a-z]" overview || fail "the overview lacks $command"
    expect_code 0 "^Usage: gradus $command" "$GRADUS" $command --help
    grep -q -- "^  --help " stdout || fail "$command --help does not tell of itself"
    [ ! -s stderr ] || fail "help belongs on standard output"
    mv stdout page
    expect_code 0 "^Usage: gradus $command" "$GRADUS" help $command
    cmp -s stdout page || fail "help $command differs from $command --help"
done
expect_code 0 "^Usage: gradus COMMAND" "$GRADUS" help
expect_code 0 "^  model export " "$GRADUS" model --help
expect_code 0 "^  tokenizer decode " "$GRADUS" help tokenizer

# Man pages and completion hold every command (tests/install/ looks closer).
expect_code 0 "" "$GRADUS" help --write-pages pages
echo "$commands" | tr '|' '\n' | while read -r command; do
    grep -q "^.SS gradus $command$" "pages/man1/gradus-${command%% *}.1" || fail "no man page of $command"
    grep -q "^            \"$command\") words=\"--" pages/gradus.bash || fail "no completion of $command"
done
expect_code 74 "pages/file" sh -c ': >pages/file && exec "$1" help --write-pages pages/file' sh "$GRADUS"

expect_usage "no command" "$GRADUS"
expect_usage 'unknown command "wobble"' "$GRADUS" wobble
expect_usage 'did you mean "generate"' "$GRADUS" generat
expect_usage 'did you mean "model info"' "$GRADUS" model inof
expect_usage 'needs a second word' "$GRADUS" model
expect_usage 'unknown command "wobble"' "$GRADUS" help wobble

expect_usage 'unknown option --sede; did you mean --seed\?' "$GRADUS" model init --sede 1
expect_usage 'unknown option --wobble \(see "gradus model init --help"\)' "$GRADUS" model init --wobble
expect_usage '\-\-config FILE.yaml is missing' "$GRADUS" model init --seed 1 --out x
expect_usage '\-\-seed needs a value: --seed S' "$GRADUS" model init --seed
expect_usage '\-\-config needs a value' "$GRADUS" model init --config --seed 1
expect_usage '\-\-seed: expected an integer of at least 0, got "-1"' "$GRADUS" model init --seed -1
expect_usage '\-\-seed: expected an integer .* got ""' "$GRADUS" model init --seed=
expect_usage '\-\-seed: expected .* got "99999999999999999999"' "$GRADUS" model init --seed 99999999999999999999
expect_usage '\-\-max-new: expected an integer from 1 to 1048576, got "0"' "$GRADUS" generate --max-new 0
expect_usage '\-\-seed is given twice' "$GRADUS" model init --seed 1 --seed 2
expect_usage '\-\-json takes no value' "$GRADUS" model info x --json=yes
expect_usage 'unexpected "b.png": --image takes one value each time; for another one repeat it: --image FILE --image b.png' "$GRADUS" generate x --image a.png b.png --prompt p
expect_usage 'unknown option -j' "$GRADUS" model info x -j
expect_usage 'MODEL is missing' "$GRADUS" model info
expect_usage 'unexpected "y"' "$GRADUS" model info x y
expect_usage '\-\-layout: expected sailvit\|transformers, got "hf"' "$GRADUS" model export x --out y --layout hf
expect_usage '\-\-layout is for --part vision' "$GRADUS" model export x --out y --part language --layout sailvit
expect_usage '\-\-from llava\|webdataset\|vlmeval is missing' "$GRADUS" data import x --out y
expect_usage '\-\-encode: expected keep, lossless or a quality' "$GRADUS" data import x --from llava --out y --encode 101
expect_usage 'nothing to learn from' "$GRADUS" tokenizer train --vocabulary 300 --out x

# Every integer option of every command: the help gives its value one of these names.
everything="$commands|bench matmul|bench step|bench data|bench reduce|bench checkpoint"
echo "$everything" | tr '|' '\n' | while read -r command; do
    "$GRADUS" $command --help | sed -nE 's/^  (--[a-z-]+) (N|S|K|I|ID|KIB|PIXELS|SECONDS|STEP)( .*)?$/\1/p' | while read -r option; do
        for value in -1 99999999999999999999; do
            expect_usage "$option: expected an integer (from|of at least) [0-9].*, got \"$value\"" "$GRADUS" $command "$option=$value"
        done
        echo "$command $option" >>integers
    done
done
[ "$(wc -l <integers)" -ge 40 ] || fail "the help has only $(wc -l <integers) integer options"
for value in x 1.5 1e3 0x10 " 1" "1 " +1 - 1x; do
    expect_usage "seed: expected an integer of at least 0, got \"${value/+/[+]}\"" "$GRADUS" model init "--seed=$value"
done
expect_usage 'seed: expected an integer from 0 to 9223372036854775807, got "9223372036854775808"' "$GRADUS" model init --seed 9223372036854775808
for value in x -1 100.5 1e1 0x10 nan " 5" .5; do
    expect_usage "encode: expected lossless or a quality from 0 to 100, got \"$value\"" "$GRADUS" data synth --task count --count 1 --out x --encode "$value"
done
for value in x 0 -1 1.5 " 2" +2 "" 99999999999999999999; do
    expect_usage "task count: expected a weight from 1 to [0-9]+, got \"" "$GRADUS" data synth --task "count=$value" --count 1 --out x
done

# A name of whatever is never empty; a text may be.
echo "model init --config|FILE.yaml
generate --image|FILE
train --run|DIR
train --set|KEY.PATH=VALUE
tokenizer train --data|DIR
data synth --task|TASK" | while IFS='|' read -r option value; do
    expect_usage "${option##* } is empty: expected $value" "$GRADUS" ${option% *} "${option##* }="
done
expect_usage 'model info: MODEL is empty$' "$GRADUS" model info ""
expect_code 66 "nowhere" "$GRADUS" generate nowhere --prompt "" --system ""

# Help wins over whatever is wrong later; a word after "--" is never an option.
expect_code 0 "^Usage: gradus model info" "$GRADUS" model info --help --wobble
expect_code 66 "cannot|no such|missing" "$GRADUS" model info -- --json

echo "usage: all as expected"
