"""What a DestinationRule's trafficPolicy asks for, as typed values: one file a member. Data only."""
