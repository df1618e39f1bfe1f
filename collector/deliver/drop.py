"""A folder that another system watches: a parcel is a folder of its own, there whole or not at all."""

import shutil
from pathlib import Path

from collector.config import Target
from collector.deliver.carrier import NotTaken
from collector.deliver.parcel import Parcel
from collector.settle.folder import appear


class Drop:
    """Puts parcels into a folder."""

    def carry(self, target: Target, parcel: Parcel, now: int) -> str:  # noqa: ARG002 - the form of a carrier
        """Write a parcel; one that stands there already is left as it is.

        Raises:
            NotTaken: the folder cannot be written.
        """
        folder = Path(target.dir or "")
        place = folder / parcel.key
        try:
            if not place.exists():
                _write(folder, place, parcel)
        except OSError as error:
            raise NotTaken(f"{place}: {error.strerror}") from error
        return f"{place}"

    def cut(self) -> None:
        """Do nothing: a file system is not waited for by us, and what is half there has another name."""


def _write(folder: Path, place: Path, parcel: Parcel) -> None:
    for left in folder.glob(f".{parcel.key}-*"):  # by a program that died
        shutil.rmtree(left)
    appear(place, {file.name: [file.content] for file in parcel.files})
