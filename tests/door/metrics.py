"""Holds /metrics to Prometheus' own parser of OpenMetrics: names, units, types, and that what we promise is there.

metrics.py FILE
"""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

PROMISED = {
    "tillhold_agent": "info",
    "tillhold_ready": "gauge",
    "tillhold_state": "gauge",
    "tillhold_unsent_transactions": "gauge",
    "tillhold_unsent_oldest_age_seconds": "gauge",
    "tillhold_quarantined_transactions": "gauge",
    "tillhold_conflicts": "gauge",
    "tillhold_database_size_bytes": "gauge",
    "tillhold_scope_age_seconds": "gauge",
    "tillhold_scope_rows": "counter",
    "tillhold_scope_errors": "counter",
    "tillhold_door_requests": "counter",
    "tillhold_door_request_seconds": "histogram",
}

with open(sys.argv[1], encoding="utf-8") as file:
    families = {family.name: family for family in text_string_to_metric_families(file.read())}

wrong = [f"{name}: no {kind}" for name, kind in PROMISED.items() if name not in families or families[name].type != kind]
wrong += [f"{name}: no help" for name, family in families.items() if not family.documentation]
wrong += [
    f"{name}: its name does not end with its unit {family.unit}"
    for name, family in families.items()
    if family.unit and not name.endswith(family.unit)
]
print(f"metrics: {len(families)} families, {sum(len(family.samples) for family in families.values())} samples")
sys.exit("\n".join(wrong) if wrong else 0)
