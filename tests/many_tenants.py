"""
The sample of a hundred organisations, which is made: ``python -m tests.many_tenants`` writes it anew.

Nothing in it is by chance: entitlement, size, pool and window go round in cycles of lengths without a common divisor.
"""

from __future__ import annotations

from itertools import product

from bitgoeul.demo.samples import IN_SOURCE_TREE

FILE = IN_SOURCE_TREE / "many-tenants.yaml"

WORDS = ("Garam", "Nuri", "Dasom", "Maru", "Byeol", "Saebyeok", "Areum", "Jindallae", "Chorong", "Hansol")
# What it does, the class of organisation, its sector.
FIELDS = (
    ("Robotics", "Startup", "Manufacturing"),
    ("Health", "SME", "Health"),
    ("Mobility", "SME", "Automotive"),
    ("University", "University", "Education"),
    ("Energy", "Enterprise", "Energy"),
    ("Farms", "Startup", "Agriculture"),
    ("Institute", "ResearchInstitute", "Climate"),
    ("Media", "SME", "Media"),
    ("City Office", "PublicInstitution", "Administration"),
    ("Voice", "Startup", "Language"),
)
# Who comes first, and where they sit; None: all others.
ENTITLED = (
    ("local-firm", "honam"),
    (None, "capital"),
    ("moving-firm", "capital"),
    (None, "yeongnam"),
    ("project-participant", "capital"),
    (None, "honam"),
    (None, "gangwon"),
)
DEVICES = (1, 2, 4, 8, 2, 16, 4, 1, 8, 24, 2)
HOURS = (2160, 4320, 8760)
STORAGE = ("5T", "20T", "50T", "100T")

HEAD = """\
# A hundred organisations at once, as the formal service of the model case had: apply model-case/10-nodes.yaml and
# model-case/20-pools.yaml first. Made by `make generate`: edit tests/many_tenants.py, not this.
#
# All are invented, and marked as examples. Priority 200: local firms, firms moving to the region and project
# participants; 100: all others. Most of them fit; those who wait are told until when.
"""


def text() -> str:
    """The file."""
    documents = [document(number, word, *field) for number, (field, word) in enumerate(product(FIELDS, WORDS))]
    return HEAD + "---\n".join(documents)


def document(number: int, word: str, field: str, kind: str, sector: str) -> str:
    """One allocation."""
    name = f"{word} {field}".lower().replace(" ", "-")
    entitled, region = ENTITLED[number % len(ENTITLED)]
    label = f", labels: {{example.org/comes-first-as: {entitled}}}" if entitled else ""
    pool = "rngd" if number % 5 == 4 else "a100"
    hours, size = HOURS[number % len(HOURS)], STORAGE[number % len(STORAGE)]
    return f"""\
apiVersion: bitgoeul.dev/v1alpha1
kind: TenantAllocation
metadata: {{name: {name}{label}}}
spec:
  organization: {{name: {word} {field} (example), class: {kind}, sector: {sector}, region: {region}}}
  priority: {200 if entitled else 100}
  window: {{start: "2021-04-15T09:00:00+09:00", duration: {hours}h}}
  accelerators: [{{pool: {pool}, devices: {DEVICES[number % len(DEVICES)]}}}]
  storage: [{{pool: lustre, size: {size}}}]
  members: [{{kind: Group, name: {name}, role: edit}}]
"""


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
