"""The validator of certificates in PEM, the text format of OpenSSL and of authorities."""

from __future__ import annotations

import re
import ssl

from components.settings.declaration import Scalar

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
# Made for this example: nobody has its private key.
EXAMPLE = """\
-----BEGIN CERTIFICATE-----
MIIBRDCB96ADAgECAhR46LKXOg9aWvcKhPGYEbiRBm+XjjAFBgMrZXAwFzEVMBMG
A1UEAwwMRXhhbXBsZSBSb290MCAXDTI2MTEzMDE3MDQ1M1oYDzIxMjYxMTA2MTcw
NDUzWjAXMRUwEwYDVQQDDAxFeGFtcGxlIFJvb3QwKjAFBgMrZXADIQDz8gxJ3ITx
G3TvpzExrDgEseoUVBMASKoSjznoo+X/+6NTMFEwHQYDVR0OBBYEFNVd9LfIlJrf
wPnnLJCl+Z5vLCN/MB8GA1UdIwQYMBaAFNVd9LfIlJrfwPnnLJCl+Z5vLCN/MA8G
A1UdEwEB/wQFMAMBAf8wBQYDK2VwA0EA4lAeF9S10v09hzlZdD4bJOxaDoEY1kvo
vwX02snczNQ1Mjq9o9qM2bBie4dYcjyB0DJeiK3dpIYp93MEpBOBAw==
-----END CERTIFICATE-----
"""


def certificates() -> Scalar[str]:
    """One or more certificates, each of which OpenSSL can read. The text ends with a line break."""
    rule = "one or more certificates in PEM: blocks from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"

    def parse(value: str) -> str:
        blocks = _BLOCK.findall(value)
        if not blocks or _BLOCK.sub("", value).strip():
            raise ValueError(f"must be {rule}, and nothing else")
        for number, block in enumerate(blocks, 1):
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=block)
            except ssl.SSLError:
                raise ValueError(f"block {number} of {len(blocks)} is no certificate that OpenSSL can read") from None
        return "".join(f"{block}\n" for block in blocks)

    return Scalar(type="string", rule=rule, parse=parse)
