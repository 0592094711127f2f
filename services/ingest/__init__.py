"""The one door: what the bank's card systems know comes in here, is judged, and goes out as facts."""
