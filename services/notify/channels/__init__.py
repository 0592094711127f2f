"""The ways by which messages leave: real gateways behind one small interface."""
