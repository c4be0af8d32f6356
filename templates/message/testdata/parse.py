"""Prints what Python's email package makes of the message on stdin, as JSON."""
import email
import email.policy
import json
import sys

m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
defects = [str(d) for p in m.walk() for d in p.defects]
defects += [f"{k}: {d}" for k, v in m.items() for d in getattr(v, "defects", ())]
json.dump(
    {
        "headers": [[k, str(v)] for k, v in m.items()],
        "parts": [
            {"type": p.get_content_type(), "charset": p.get_content_charset(), "text": p.get_content()}
            for p in m.walk()
            if not p.is_multipart()
        ],
        "defects": defects,
    },
    sys.stdout,
)
