"""Which files beside a photo, video or sound speak about it."""

from indexer.media.metadata.companions import Companions, is_companion


def test_both_namings_of_a_sidecar_are_known_the_specific_one_first() -> None:
    assert Companions(["a.b.xmp", "a.b.jpg.xmp", "a.xmp", "b.xmp"]).of("a.b.jpg") == ("a.b.jpg.xmp", "a.b.xmp")


def test_names_are_compared_without_case_and_the_same_spelling_comes_first() -> None:
    assert Companions(["img_7.jpg.XMP", "IMG_7.JPG.xmp"]).of("IMG_7.JPG") == ("IMG_7.JPG.xmp", "img_7.jpg.XMP")


def test_a_media_file_is_no_companion() -> None:
    assert not is_companion("/p/a.jpg")
    assert Companions(["a.jpg", "a.mp4"]).of("a.jpg") == ()
