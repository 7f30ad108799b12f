"""The date in a file's name, where nothing else has one."""

from datetime import date, timedelta

import pytest

from indexer.media.metadata.file_name import named_moment
from indexer.media.metadata.moments import Meaning


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("IMG_20210704_153012.jpg", "2021-07-04T15:30:12"),
        ("VID_20190704_213000.mp4", "2019-07-04T21:30:00"),
        ("20210704_153012.jpg", "2021-07-04T15:30:12"),
        ("IMG_20210704_153012123_HDR.jpg", "2021-07-04T15:30:12"),
        ("IMG20210704153012.jpg", "2021-07-04T15:30:12"),
        ("00100lPORTRAIT_00100_BURST20180821100217123_COVER.jpg", "2018-08-21T10:02:17"),
        ("MVIMG_20180821_100217.jpg", "2018-08-21T10:02:17"),
        ("DJI_20230701120000_0001_V.MP4", "2023-07-01T12:00:00"),
        ("Screenshot_20190201-212530_Fennec.png", "2019-02-01T21:25:30"),
        ("Screenshot_2019-02-01-21-25-30.png", "2019-02-01T21:25:30"),
        ("Screenshot 2019-02-01 at 21.25.30.png", "2019-02-01T21:25:30"),
        ("Screenshot from 2019-02-01 21-25-30.png", "2019-02-01T21:25:30"),
        ("WhatsApp Image 2021-05-03 at 18.22.10.jpeg", "2021-05-03T18:22:10"),
        ("signal-2018-08-21-100217.jpg", "2018-08-21T10:02:17"),
        ("signal-2018-08-21-10-02-17-123.jpg", "2018-08-21T10:02:17"),
        ("photo_2021-05-03_18-22-10.jpg", "2021-05-03T18:22:10"),
        ("2011-07-19 11.36.39.jpg", "2011-07-19T11:36:39"),
        ("2011-07-19 11.36.39-1.jpg", "2011-07-19T11:36:39"),
        ("微信图片_20220526164630.jpg", "2022-05-26T16:46:30"),
        ("IMG-20161224-WA0014.jpg", "2016-12-24"),
        ("1931-05-02 grandma.jpg", "1931-05-02"),
        ("holiday 19.07.2011.jpg", "2011-07-19"),
        ("20210704.jpg", "2021-07-04"),
    ],
)
def test_a_date_in_the_name(name: str, known: str) -> None:
    moment = named_moment(f"/photos/{name}")
    assert moment is not None
    assert (moment.known, moment.meaning, moment.in_utc) == (known, Meaning.NAMED, False)


@pytest.mark.parametrize(
    "name",
    [
        "IMG_3397.JPG",
        "DSC_20190000.jpg",
        "DSC20190704.jpg",
        "12345678.jpg",
        "20211345.jpg",
        "19190704.jpg",
        "1490000000000.jpg",
        "100_20210704123.jpg",
        "3020210704153012.jpg",
        "a20210704b.jpg",
        "2021-13-04.jpg",
        "2021-02-30.jpg",
        "07-04-2021.jpg",
        "550e8400-e29b-41d4-a716-446655440000.jpg",
        "4006381333931.jpg",
        f"IMG_{date.today() + timedelta(days=40):%Y%m%d}_101010.jpg",
    ],
)
def test_a_serial_number_is_no_date(name: str) -> None:
    assert named_moment(name) is None


@pytest.mark.parametrize(
    ("name", "utc"),
    [("PXL_20210704_153012345.jpg", "2021-07-04T15:30:12"), ("mmexport1490000000000.jpg", "2017-03-20T08:53:20")],
)
def test_names_that_count_in_utc_are_told_apart(name: str, utc: str) -> None:
    moment = named_moment(name)
    assert moment is not None
    assert (moment.local, moment.in_utc) == (utc, True)
