#!/usr/bin/env python3
"""Verifies chains and anchors of an export of Shunt's audit, without Shunt: audit-format.md tells each step.

python audit-verify.py DIR [ANCHORS PUBLIC_KEY]      exit 0: nothing is wrong; 1: a line for each finding
"""
import base64, hashlib, itertools, json, struct, sys
from pathlib import Path
import pyarrow.parquet as pq
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

PAYLOAD_TYPE, ZERO, findings = "application/vnd.shunt.anchor+json", bytes(32), []
COLUMNS = ["partition", "offset", "chainId", "epoch", "seq", "prevHash", "type", "body"]
def tell(message):
    findings.append(message)
    print(message)
def sized(data):
    return struct.pack(">I", len(data)) + data
def link_hash(link):
    data = sized(link["chainId"].encode()) + struct.pack(">QQ", link["epoch"], link["seq"]) + link["prevHash"]
    return hashlib.sha256(b"shunt-audit-1\n" + data + sized(link["type"].encode()) + sized(link["body"])).digest()
def long(data):
    value = shift = 0
    for byte in data:
        value, shift = value | (byte & 127) << shift, shift + 7
        if byte < 128:
            return value >> 1 ^ -(value & 1)
def last_link(body):
    """What a lane_reset names as the last link: epoch, seq, hash; three optional fields behind the 5 bytes of the frame."""
    data = iter(body[5:])
    epoch, seq, size = (long(data) if long(data) else None for _ in range(3))
    return epoch, seq, bytes(itertools.islice(data, size or 0))

def read_anchors(path, key_path, namespace):
    key, previous, marks = serialization.load_pem_public_key(Path(key_path).read_bytes()), None, {}
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
        if (anchor["previous"], anchor["namespace"]) != (previous, namespace):
            tell(f"line {number} of the anchors does not follow the line before it, or is of another namespace")
        previous = hashlib.sha256(payload).hexdigest()
        for head in anchor["heads"]:
            marks.setdefault(head["chainId"], {})[head["epoch"], head["seq"]] = head
    return marks if previous else tell("no line of the anchors can be used") or {}

def check(link, where, head, mark):
    """`head`: epoch, seq, hash, place, partition of the chain's link before; None for its first."""
    chain, epoch, seq = link["chainId"], link["epoch"], link["seq"]
    named = f"epoch {epoch} seq {seq} at {where}"
    expected = ZERO if seq == 1 else head[2] if head and (epoch, seq) == (head[0], head[1] + 1) else None
    if head and epoch == head[0] and seq > head[1] + 1:
        tell(f"{chain}: seq {head[1] + 1} to {seq - 1} missing between {head[3]} and {where}")
    elif expected is not None and link["prevHash"] != expected:
        tell(f"{chain}: {named} or the link before it{' at ' + head[3] if head else ''} was changed")
    if head and epoch > head[0] and (link["type"] != "lane_reset" or seq != 1 or last_link(link["body"]) != head[:3]):
        tell(f"{chain}: {named} opens an epoch and does not name the last link, epoch {head[0]} seq {head[1]} at {head[3]}")
    if mark and bytes.fromhex(mark["hash"]) != link_hash(link):
        tell(f"{chain}: {named} is not the link that was anchored: it, or the history up to it, was rewritten")

def verify(directory, offsets, marks):
    heads, firsts, held = {}, {}, {each["partition"]: (each["from"], each["until"]) for each in offsets}
    for file in sorted(directory.glob("*.parquet")):
        for link in (row for batch in pq.ParquetFile(file).iter_batches(columns=COLUMNS) for row in batch.to_pylist()):
            chain, where = link["chainId"], f"{link['partition']}/{link['offset']}"
            first = firsts.setdefault(link["partition"], held.get(link["partition"], (link["offset"],))[0])
            if chain is None or len(link["prevHash"]) != 32 or min(link["epoch"], link["seq"]) < 1:
                tell(f"the record at {where} is no link of a chain")
                continue
            at, head = (link["epoch"], link["seq"]), heads.get(chain)
            if head and (head[4] != link["partition"] or at <= head[:2]):
                tell(f"{chain}: epoch {at[0]} seq {at[1]} at {where} comes again, too late or elsewhere: it was at {head[3]}")
                continue
            lost = not head and [key for key, mark in marks.get(chain, {}).items() if key < at and mark["offset"] >= first]
            if lost or not head and at != (1, 1) and first == 0:
                tell(f"{chain}: the links before epoch {at[0]} seq {at[1]} at {where} are missing")
            check(link, where, head, marks.get(chain, {}).get(at))
            heads[chain] = (*at, link_hash(link), where, link["partition"])
    for chain, head in ((chain, anchored[max(anchored)]) for chain, anchored in marks.items()):
        start, end = held.get(head["partition"], (0, 0))
        if not firsts.get(head["partition"], start) <= head["offset"] < (2**63 if end is None else end):
            print(f"{chain}: its last anchor lies outside of this export and was not compared", file=sys.stderr)
        elif chain not in heads:
            tell(f"{chain}: the chain is missing; anchored up to epoch {head['epoch']} seq {head['seq']}")
        elif heads[chain][:2] < (head["epoch"], head["seq"]):
            tell(f"{chain}: ends at {heads[chain][3]}, before the anchored epoch {head['epoch']} seq {head['seq']}")
    print(f"{len(heads)} chains, {len(findings)} findings", file=sys.stderr)

directory, *anchors = sys.argv[1:] or sys.exit(__doc__)
description = json.loads(Path(directory, "manifest.json").read_text())
anchored = read_anchors(*anchors, description["namespace"]) if anchors else {}
verify(Path(directory, "audit"), description["range"]["offsets"], anchored)
sys.exit(1 if findings else 0)
