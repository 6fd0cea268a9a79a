"""Ways to damage a network file."""

import zlib

import h5py
import numpy as np

from tests.graphs import random_chain, random_sdt_graph


def chain():
    return random_chain(np.random.default_rng(0), convs=(4,), denses=(4,))


def transformer():
    return random_sdt_graph(np.random.default_rng(0), channels=4, image=(1, 4, 4))


ORIGINALS = {"stock": chain, "extended": transformer}


def put(key, value, **options):
    """Replace a dataset or attribute (``group:name``)."""

    def damage(file):
        if ":" in key:
            group, name = key.split(":")
            file[group or "/"].attrs[name] = value
            return
        if key in file:
            del file[key]
        file.create_dataset(key, data=value, **options)

    return damage


def both(*damages):
    def damage(file):
        for one in damages:
            one(file)

    return damage


def edit(key, function):
    """Replace a dataset by a function of its values."""
    return lambda file: put(key, function(file[key][()]))(file)


def drop(key):
    def damage(file):
        group, _, name = key.partition(":")
        if name:
            del file[group or "/"].attrs[name]
        else:
            del file[key]

    return damage


def link(key, target):
    def damage(file):
        del file[key]
        file[key] = target

    return damage


def virtual(key):
    def damage(file):
        shape = file[key].shape
        del file[key]
        layout = h5py.VirtualLayout(shape, "i2")
        layout[...] = h5py.VirtualSource("other.h5", "x", shape)
        file.create_virtual_dataset(key, layout)

    return damage


def external(key):
    def damage(file):
        shape = file[key].shape
        del file[key]
        file.create_dataset(key, shape, "i2", external=[("/etc/passwd", 0, 10_000)])

    return damage


def huge(key, shape, **options):
    def damage(file):
        del file[key]
        file.create_dataset(key, shape, "i2", **options)

    return damage


def inflating(key):
    """Store a chunk that inflates to far more than a chunk."""

    def damage(file):
        shape = file[key].shape
        del file[key]
        dataset = file.create_dataset(key, shape, "i2", chunks=shape, compression="gzip")
        dataset.id.write_direct_chunk((0,) * len(shape), zlib.compress(bytes(50_000_000)))

    return damage


def twice_compressed(key):
    def damage(file):
        shape = file[key].shape
        del file[key]
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk(shape)
        properties.set_deflate(9)
        properties.set_deflate(9)
        space = h5py.h5s.create_simple(shape)
        h5py.h5d.create(file.id, key.encode(), h5py.h5t.STD_I16LE, space, properties)
        file[key][...] = 2

    return damage


def apply(damage, path):
    with h5py.File(path, "r+") as file:
        damage(file)
