"""What leaves a study: the report page, the model card, the record, copies that may be shared."""
