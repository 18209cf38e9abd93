"""Imports what other programs write, and compares the shards with it.

usage: check_import.py GRADUS LLAVA.json IMAGES WORK [RECORDS]

Takes the first RECORDS (default 500) pictures of a LLaVA file and writes them
  - with the webdataset library's TarWriter: captions, img2dataset's parts with metadata, conversations; several tars, one compressed;
  - as a TSV with pandas, as VLMEvalKit's sets are: base64, pictures shared by index, lists of pictures, options, hints, cells with
    tabs, quotes and line ends;
then imports each with GRADUS and compares captions, extra keys and pixels (check_shard.py). Needs webdataset, pandas, h5py, numpy, Pillow
and libxxhash.
"""

import base64
import io
import json
import os
import shutil
import subprocess
import sys

import pandas
import webdataset

from check_shard import check_dataset, over_white


def run(gradus, *args):
    subprocess.run([gradus, "data", "import", "--encode", "lossless", *args], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def talk(images, question, answer):
    value = "\n".join(["<image>"] * images + ([question] if question else []))
    return [{"from": "human", "value": value}, {"from": "gpt", "value": answer}]


def write_tars(records, images, folder):
    """Every kind of record that the importer knows, in turn; what its samples should be."""
    os.makedirs(folder)
    wanted, each = [], -(-len(records) // 3)
    for t, end in enumerate(["tar", "tar.gz", "tar"]):
        path = os.path.join(folder, "%05d.%s" % (t, end))
        with webdataset.TarWriter(path, compress=end.endswith("gz")) as writer:
            for k, record in enumerate(records[t * each : (t + 1) * each]):
                key, kind = "%s %05d" % ("Vögel" if k % 2 else "a b", k), k % 4
                name = os.path.join(images, record["image"])
                data, caption = open(name, "rb").read(), record["conversations"][1]["value"]
                end = os.path.splitext(name)[1][1:]
                meta = {"url": "http://" + key, "status": "success", "width": k, "exif": None, "score": k / 7}
                sample, pictures = {"__key__": key, end: data}, [over_white(name)]
                if kind == 0:  # a caption alone
                    sample["txt"], want = caption, {"conversations": talk(1, "", caption)}
                elif kind == 1:  # as img2dataset: a caption and metadata
                    meta["caption"] = "not this one"
                    sample.update(txt=caption, json=meta)
                    want = dict(meta, conversations=talk(1, "", caption))
                elif kind == 2:  # a conversation of its own
                    meta["conversations"] = record["conversations"]
                    sample["json"], want = meta, meta
                else:  # two pictures, the caption in the metadata
                    meta["caption"] = caption
                    sample = {"__key__": key, "0." + end: data, "1." + end: data, "json": meta}
                    pictures = pictures * 2
                    want = dict(meta, conversations=talk(2, "", caption))
                writer.write(sample)
                wanted.append((key, "wds", want, pictures))
    return wanted


def write_tsv(records, images, path):
    """As VLMEvalKit has its sets; what the samples should be, with the question as VLMEvalKit's build_prompt puts it."""
    rows, wanted, seen = [], [], {}
    for k, record in enumerate(records):
        name = os.path.join(images, record["image"])
        pixels, text = over_white(name), record["conversations"][1]["value"]
        coded = base64.b64encode(open(name, "rb").read()).decode()
        row, pictures = {"index": k, "question": 'What\tis "%s"?\n' % text[:40], "answer": text}, [pixels]
        question = row["question"]
        if k % 3 == 0:
            row.update(A="red", B='a "quoted" one', answer="B", category="choice %d" % (k % 2))
            question = ("Question: %s\nOptions:\nA. red\nB. a \"quoted\" one\n"
                        "Please select the correct answer from the options above. \n" % question)
            if k % 2:
                row["hint"] = "look closely"
                question = "Hint: look closely\n" + question
        if k % 10 == 9:
            row["image"] = str(k - 9)  # the picture of another row
            pictures = [seen[k - 9]]
        elif k % 10 == 8:
            row["image"] = str([coded, coded])
            pictures = [pixels, pixels]
        else:
            row["image"] = coded
        seen[k] = pixels
        rows.append(row)
        talked = {"conversations": talk(len(pictures), question, row["answer"])}
        wanted.append((str(k), row.get("category", ""), talked, pictures))
    columns = ["index", "image", "question", "hint", "A", "B", "answer", "category"]
    pandas.DataFrame(rows, columns=columns).to_csv(path, sep="\t", index=False)
    for row, (_, _, want, _) in zip(rows, wanted):  # all other cells survive
        want.update({name: row[name] for name in columns if name in row and name not in ("index", "image")})
    back = pandas.read_csv(path, sep="\t")
    assert list(back["question"]) == [row["question"] for row in rows]
    return wanted


def main():
    gradus, source, images, work = sys.argv[1:5]
    count = int(sys.argv[5]) if len(sys.argv) > 5 else 500
    records = [r for r in json.load(open(source)) if isinstance(r.get("image"), str)][:count]
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    out = os.path.join(work, "out")
    wanted = write_tars(records, images, os.path.join(work, "tars"))
    run(gradus, "--from", "webdataset", os.path.join(work, "tars"), "--out", out, "--task", "wds")
    print("webdataset %s: %d samples agree" % (webdataset.__version__, check_dataset(out, wanted)))
    shutil.rmtree(out)
    wanted = write_tsv(records, images, os.path.join(work, "a.tsv"))
    run(gradus, "--from", "vlmeval", os.path.join(work, "a.tsv"), "--out", out)
    print("TSV of pandas %s: %d samples agree" % (pandas.__version__, check_dataset(out, wanted)))


if __name__ == "__main__":
    main()
