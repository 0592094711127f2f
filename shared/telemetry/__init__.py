"""What operators see: traces (`tracing`, `spans`), logs (`logs`), metrics (`metrics`).

Nothing in here carries personal data: span attributes, log fields and metric labels are opaque ids, names of topics,
codes and counts. Spans and logs run on the machine's clock, never on the injected one.
"""
