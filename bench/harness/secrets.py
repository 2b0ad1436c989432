"""The bench account's password and its SCRAM secret, for workloads that log in with one."""

from __future__ import annotations

import base64
import hashlib
import hmac

PASSWORD = "bench-password"
_SALT = b"pgweir bench salt"
_ITERATIONS = 4096


def scram_secret() -> str:
    """As PostgreSQL stores it: SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey."""
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), _SALT, _ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    salt, stored, server = (base64.b64encode(part).decode()
                            for part in (_SALT, stored_key, server_key))
    return f"SCRAM-SHA-256${_ITERATIONS}:{salt}${stored}:{server}"
