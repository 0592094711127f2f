"""The texts of every notice, as data: `<template>/<language>.<channel>.j2`, with `manifest.yaml` and `words.yaml`.

The first line of a mail is its subject. Who changes a text gives it a new version and has it approved again:
`manifest.yaml` holds the digest of what was approved, and notify refuses to start with another text.
"""
