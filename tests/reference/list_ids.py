"""Prints "NUMBER CONTENT-ID" for each sample of a data set, read with h5py. For tests/heavy/order.sh.

usage: list_ids.py DATASET
"""

import json
import os
import sys

import h5py

folder, number = sys.argv[1], 0
for entry in json.load(open(os.path.join(folder, "manifest.json")))["shards"]:
    with h5py.File(os.path.join(folder, entry["name"])) as shard:
        for high, low in shard["content_id"][:]:
            print(number, "%016x%016x" % (high, low))
            number += 1
