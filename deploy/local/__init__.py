"""The local stack: PostgreSQL, Kafka, a mail catcher, an SMS centre and the five services as separate processes.

Everything comes from wheels and jars; no Docker.
"""
