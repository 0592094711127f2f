"""Where a points card is fitted to data. The running service never imports this room."""
