"""ClipAssistNet: are the tips of the clip applier's jaws visible?"""
