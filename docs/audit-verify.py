#!/usr/bin/env python3
"""Verifies chains and anchors of an export of Shunt's audit, without Shunt: audit-format.md tells each step.

python audit-verify.py DIR [--anchors FILE --public-key FILE]      exit 0: nothing is wrong; 1: a line for each finding
"""
import argparse, base64, hashlib, json, struct, sys
from pathlib import Path
import pyarrow.parquet as pq
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

PAYLOAD_TYPE, ZERO = "application/vnd.shunt.anchor+json", bytes(32)
COLUMNS = ["partition", "offset", "chainId", "epoch", "seq", "prevHash", "type", "body"]
findings = 0

def tell(message):
    global findings
    findings += 1
    print(message)

def sized(data):
    return struct.pack(">I", len(data)) + data

def link_hash(link):
    place = struct.pack(">QQ", link["epoch"], link["seq"])
    data = sized(link["chainId"].encode()) + place + link["prevHash"] + sized(link["type"].encode()) + sized(link["body"])
    return hashlib.sha256(b"shunt-audit-1\n" + data).digest()

def last_link(body):
    """What a lane_reset names as the last link: epoch, seq, hash; behind the 5 bytes of the frame, three optional fields."""
    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte, at = body[at], at + 1
            value, shift = value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value >> 1 ^ -(value & 1)
    at = 5
    epoch = number() if number() else None
    seq = number() if number() else None
    size = number() if number() else 0
    return epoch, seq, body[at:at + size]

def read_anchors(path, key_path, namespace):
    """Marks {chain: {(epoch, seq): hash}} and, by chain, the last head."""
    key, previous, marks, last = serialization.load_pem_public_key(Path(key_path).read_bytes()), None, {}, {}
    for number, line in enumerate(Path(path).read_text().splitlines(), 1):
        try:
            envelope = json.loads(line)
            payload = base64.b64decode(envelope["payload"], validate=True)
            signed = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload
            key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)
            anchor = json.loads(payload)
        except (ValueError, KeyError, IndexError, TypeError, InvalidSignature):
            tell(f"line {number} of the anchors is not signed with this key, or was changed")
            continue
        if anchor["previous"] != previous:
            tell(f"line {number} of the anchors does not follow the line before it")
        if anchor["namespace"] != namespace:
            tell(f"line {number} of the anchors is of another namespace: {anchor['namespace']}")
        previous = hashlib.sha256(payload).hexdigest()
        for head in anchor["heads"]:
            marks.setdefault(head["chainId"], {})[head["epoch"], head["seq"]] = bytes.fromhex(head["hash"])
            last[head["chainId"]] = head
    return marks, last

def check(link, where, head, mark):
    """`head`: epoch, seq, hash, place, partition of the chain's link before; None for its first."""
    chain, epoch, seq, named = link["chainId"], link["epoch"], link["seq"], f"epoch {link['epoch']} seq {link['seq']} at {where}"
    expected = ZERO if seq == 1 else head[2] if head and (epoch, seq) == (head[0], head[1] + 1) else None
    if head and epoch == head[0] and seq > head[1] + 1:
        tell(f"{chain}: seq {head[1] + 1} to {seq - 1} missing between {head[3]} and {where}")
    elif expected is not None and link["prevHash"] != expected:
        tell(f"{chain}: {named} or the link before it{' at ' + head[3] if head else ''} was changed")
    if head and epoch > head[0] and (link["type"] != "lane_reset" or seq != 1 or last_link(link["body"]) != head[:3]):
        tell(f"{chain}: {named} opens an epoch and does not name the last link, epoch {head[0]} seq {head[1]} at {head[3]}")
    if mark and mark != link_hash(link):
        tell(f"{chain}: {named} is not the link that was anchored: it, or the history up to it, was rewritten")

def verify(directory, marks, last):
    heads, firsts, manifest = {}, {}, json.loads((directory / "manifest.json").read_text())
    for file in sorted((directory / "audit").glob("*.parquet")):
        for link in (row for batch in pq.ParquetFile(file).iter_batches(columns=COLUMNS) for row in batch.to_pylist()):
            chain, where = link["chainId"], f"{link['partition']}/{link['offset']}"
            first = firsts.setdefault(link["partition"], link["offset"])
            if chain is None or len(link["prevHash"]) != 32 or min(link["epoch"], link["seq"]) < 1:
                tell(f"the record at {where} is no link of a chain")
                continue
            head, at = heads.get(chain), (link["epoch"], link["seq"])
            if head and (head[4] != link["partition"] or at <= head[:2]):
                tell(f"{chain}: epoch {at[0]} seq {at[1]} at {where} comes again, too late or elsewhere: the chain was at {head[3]}")
                continue
            if head is None and at != (1, 1) and first == 0:
                tell(f"{chain}: the links before epoch {at[0]} seq {at[1]} at {where} are missing")
            check(link, where, head, marks.get(chain, {}).get(at))
            heads[chain] = (*at, link_hash(link), where, link["partition"])
    ends = {each["partition"]: each["until"] for each in manifest["range"]["offsets"]}
    for chain, head in last.items():
        if not firsts.get(head["partition"], 0) <= head["offset"] < (ends.get(head["partition"]) or 0):
            print(f"{chain}: its last anchor lies outside of this export and was not compared", file=sys.stderr)
        elif chain not in heads:
            tell(f"{chain}: the chain is missing; anchored up to epoch {head['epoch']} seq {head['seq']}")
        elif heads[chain][:2] < (head["epoch"], head["seq"]):
            tell(f"{chain}: ends at {heads[chain][3]}, before the anchored epoch {head['epoch']} seq {head['seq']}")
    print(f"{len(heads)} chains, {findings} findings", file=sys.stderr)

options = argparse.ArgumentParser(description=__doc__)
options.add_argument("directory", type=Path)
options.add_argument("--anchors")
options.add_argument("--public-key")
given = options.parse_args()
space = json.loads((given.directory / "manifest.json").read_text())["namespace"]
verify(given.directory, *(read_anchors(given.anchors, given.public_key, space) if given.anchors else ({}, {})))
sys.exit(1 if findings else 0)
