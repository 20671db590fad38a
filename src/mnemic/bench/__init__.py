"""The benchmark room: any system on any dataset, every input and output kept, and tables that a rival would believe."""
