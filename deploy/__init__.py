"""What running Arrears needs beside the compose file: the local stack, the demo, dashboards."""
