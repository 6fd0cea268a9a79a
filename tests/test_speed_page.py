"""The pages on speed say what was measured."""

from __future__ import annotations

from benchmarks import speed


def test_pages_say_what_was_measured():
    for page, text in speed.pages().items():
        assert page.read_text(encoding="utf-8") == text, page


def test_the_sentence_names_the_peer_and_both_ranges():
    rows = [
        ("engine a / fastest float form: X", 2.0, "s/image"),
        ("engine b / fastest float form: Y", 3.04, "s/image"),
        ("engine a / float32 torch model", 7.4, "s/image"),
        ("engine a peak memory at batch 8 / float32 torch model", 1.0, "MB"),
    ]
    content = {
        "rows": [
            {
                "name": title, "ratio": ratio, "target": None, "ours": 1.0, "peer": 2.0,
                "unit": unit, "spread": 0.1,
            }
            for title, ratio, unit in rows
        ]
    }  # fmt: skip
    said = speed.sentence(content)
    assert "2.0 to 3.0 times" in said and "(X or Y)" in said and "7 to 7 times" in said
