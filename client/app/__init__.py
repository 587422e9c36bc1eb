"""Programs made of the rooms: the desktop, a headless member, the demo, the doctor."""
