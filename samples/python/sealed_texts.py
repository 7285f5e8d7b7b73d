"""Seals and opens texts of steps (docs/erasure.md): compact JWE, RFC 7516, with a tenant's data key.

    pip install -r samples/python/requirements.txt
"""

import calendar
import json
import pathlib
import re
import time

from jwcrypto import jwe, jwk

KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
# A key that Shunt made a moment ago may not have reached every process that opens.
SETTLE_SECONDS = 120


def made_at(key_id):
    """Of an id as `shunt keys` makes it; 0 for one of another form."""
    try:
        return calendar.timegm(time.strptime(key_id.split("-")[0], "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return 0


class DataKeys:
    """The data keys of a directory: DIR/<tenantId>/<keyId>.key, 256 bits as base64url. Ids are in order of age."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)

    def newest(self, tenant):
        """The id and the key to seal with; None for a tenant that has none, whose texts are plain."""
        ids = sorted(path.stem for path in (self.directory / tenant).glob("*.key") if KEY_ID.fullmatch(path.stem))
        if not ids:
            return None
        settled = [key_id for key_id in ids if made_at(key_id) <= time.time() - SETTLE_SECONDS]
        chosen = settled[-1] if settled else ids[0]
        return chosen, self.key(tenant, chosen)

    def key(self, tenant, key_id):
        """Raises FileNotFoundError where the key was deleted: the text is erased."""
        if not KEY_ID.fullmatch(key_id):
            raise ValueError("the text names no key of the directory")
        text = (self.directory / tenant / f"{key_id}.key").read_text().strip()
        return jwk.JWK(kty="oct", k=text)


def seal(keys, tenant, step_id, field, text):
    """The field is "request". Keep the result and send it again as it is: sealed anew it would be another content."""
    newest = keys.newest(tenant)
    if newest is None:
        return text
    key_id, key = newest
    header = {"alg": "dir", "enc": "A256GCM", "kid": key_id, "tenantId": tenant, "stepId": step_id, "field": field}
    token = jwe.JWE(text.encode(), json.dumps(header))
    token.add_recipient(key)
    return token.serialize(compact=True)


def open_text(keys, tenant, step_id, field, text):
    """A plain text is returned as it is. The field of a result's answer is "answer"."""
    if not text.startswith("eyJ"):
        return text
    token = jwe.JWE(algs=["dir", "A256GCM"])
    token.deserialize(text)
    header = json.loads(token.objects["protected"])
    if [header.get("tenantId"), header.get("stepId"), header.get("field")] != [tenant, step_id, field]:
        raise ValueError("the text was sealed for another place")
    token.decrypt(keys.key(tenant, header["kid"]))
    return token.payload.decode()
