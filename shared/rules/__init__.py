"""Dated rule data and the pure engine that reads them; the working-day calendar; when an account is paid."""
