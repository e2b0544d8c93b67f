"""Dates and paths in every form go; figures, code and prose stay."""

from pathlib import Path

import nbformat
import pytest

from clipassistnet.publish.redaction import Redactor, suspicious

DATES = {
    "operated on March 4, 2021": "2021",
    "born 5/25/1989": "1989",
    "recorded: 2021:03:04 10:22:33": "2021",
    "done Thu Mar  4 10:22:33 2021": "2021",
    "op date 12/31/2021": "2021",
    "4. März 2021": "2021",
    "04-MAR-2021": "2021",
    "2021-3-4": "2021",
    "20210304102233": "2021",
    "20210304T102233": "2021",
    "03/2021": "2021",
    "the 4th of March, 2021": "2021",
    "March 4th": "4th",
    "4 May": "4",
    "May 4th": "4th",
    "Mar 4": "4",
    "on 4 de marzo de 2021": "2021",
    "4 mars 2021": "2021",
    "4 марта 2021 г.": "2021",
    "4. Maerz '21": "21",
    "Marz 2021": "2021",
    "2021/Mar/04": "2021",
    "2021 March 4": "2021",
    "04Mar2021": "2021",
    "2021-03": "2021",
    "3/2021": "2021",
    "04 . 03 . 2021": "2021",
    "4. 3. 2021": "2021",
    "2021–03–04": "2021",
    "2021%2D03%2D04": "2021",
    r"04\/03\/2021": "2021",
    "2021_03_04": "2021",
    "video_20210304_op": "20210304",
    "2021-03-04T10:22:33Z": "2021",
    "2021-W09-4": "2021",
    "2021-063": "2021",
    "2021年3月4日": "2021",
    "2021년 3월 4일": "2021",
    "25/5/89": "89",
    "5-25-89": "89",
    "datetime.date(2021, 3, 4)": "2021",
    "Timestamp: 1614853353": "1614853353",
    "epoch 1614853353123 ms": "1614853353123",
}


@pytest.mark.parametrize("text", DATES)
def test_a_date_goes(text):
    cleaned = Redactor([]).clean(text)
    assert DATES[text] not in cleaned
    assert "[date]" in cleaned
    assert not suspicious(cleaned)


PATHS = {
    "[Errno 2] No such file or directory: '/mnt/Dr. Huber/July/x.mp4'": "Huber",
    "/mnt/Dr. Huber/July/x.mp4: No such file or directory": "Huber",
    "cannot open /Users/Anna Maria/Movies/op 7.mp4": "Maria",
    "//pacs01/share/anna/x.mp4": "pacs01",
    "file:///home/Anna Maria/x.mp4": "Maria",
    "file:/home/anna/x.mp4": "anna",
    "file:///C:/Users/Anna/x.mp4": "Anna",
    r"C:\Users\Anna Maria\x.mp4 was not found": "Maria",
    "C:/Users/Anna Maria/x.mp4": "Maria",
    r"C:\\Users\\Anna\\x.mp4": "Anna",
    r"\\?\C:\Users\Anna\x.mp4": "Anna",
    r"\\pacs01\share\Anna Maria\x.mp4": "Maria",
    r"..\patients\huber.mp4": "huber",
    r".\huber.mp4": "huber",
    r"patients\huber\x.mp4": "huber",
    r"\/home\/anna\/x.mp4": "anna",
    "$HOME/patients/huber": "huber",
    r"%USERPROFILE%\patients\huber": "huber",
    "anna@pacs01:/export/x": "anna",
    "PosixPath('/home/anna/x')": "anna",
    r"WindowsPath('C:/Users/Anna/x')": "Anna",
    'File "/home/anna/my scripts/a b.py", line 3': "scripts",
    "“/home/anna/x y/z.mp4”": "anna",
    "`/home/anna/x`": "anna",
    "%2Fhome%2Fanna%2Fx": "anna",
    "/c/Users/Anna/x": "Anna",
}


@pytest.mark.parametrize("text", PATHS)
def test_a_path_goes(text):
    cleaned = Redactor([]).clean(text)
    assert PATHS[text] not in cleaned
    assert not suspicious(cleaned)


@pytest.mark.parametrize(
    "text",
    [
        "you may 2 or more", "in 95 % of 2021 frames", "3.2021 s", "AUROC 0.2021 [0.1999, 0.2034]",
        "torch 2.15.0", "5-13, 2022", "fold 4 of 5, seed 2021", "12:30:00", "1,614,853,353 pixels",
        "1/2 and 3/4 of them", "v01_{frame:06d}.jpg", "march 2 frames", "May we", "a // b", "x / y",
        r"\frac{1}{2} and \alpha", "d / m / y", "2021 videos, 12 of them", "conv 3x3 / 2",
        "mean 2019.5", "2000 - 12 = 1988",
    ],
)  # fmt: skip
def test_what_only_looks_a_little_like_a_date_or_a_path_stays(text):
    assert Redactor([]).clean(text) == text
    assert not suspicious(text)


LOOKS_ODD = {
    "an escaped date": "2021&#45;03&#45;04",
    "an escaped path": "&#x2F;home&#x2F;anna&#x2F;x",
    "wide digits": "２０２１-03-04",
}


@pytest.mark.parametrize("name", LOOKS_ODD)
def test_what_still_looks_like_a_date_or_a_path_is_named(name):
    assert suspicious(Redactor([]).clean(LOOKS_ODD[name]))


@pytest.mark.parametrize("path", sorted(Path("notebooks").glob("0*.ipynb")), ids=lambda p: p.stem)
def test_the_source_notebooks_are_not_suspicious(path):
    for cell in nbformat.read(path, 4).cells:
        assert not suspicious(cell.source)
