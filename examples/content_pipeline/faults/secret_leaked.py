"""The pipeline writes a secret's value into its log, where everybody can read it."""

from __future__ import annotations

from examples.content_pipeline.fault import Fault, Parts
from holdfast.sources.dotenv import Dotenv

_SECRET = "SUMMARY_API_KEY"


class SecretLeaked(Fault):
    name = "secret-leaked"
    part = "secrets"
    plan = "secrets_compromise"
    trigger = "secrets_compromise_detected"
    title = "a secret's value written into a log"

    def _break(self, parts: Parts) -> str:
        value = Dotenv.parse(parts.env_file.read_text(encoding="utf-8")).variables()[_SECRET]
        with parts.log.open("a", encoding="utf-8") as log:
            log.write(f"summarise: request refused, authorization was 'Bearer {value}'\n")
        return f"the value of {_SECRET} written into {parts.log.name}"


FAULT = SecretLeaked()
