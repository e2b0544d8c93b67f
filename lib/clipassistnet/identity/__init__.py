"""What a result depends on besides its data: the code that computed it, and the hardware."""
