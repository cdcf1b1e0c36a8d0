#!/usr/bin/env python3
"""Draws eight samples into a picture, with Python alone: draw.py MODEL OUT.pgm [VALUE of each column ...]"""
import ctypes as c
import sys


class Description(c.Structure):  # gan_description of gan/gan.h
    _fields_ = [("latent", c.c_int64), ("dimensions", c.c_int32), ("shape", c.c_int64 * 3), ("elements", c.c_int64),
                ("low", c.c_double), ("high", c.c_double), ("columns", c.c_int32), ("steps", c.c_int64)]


class Request(c.Structure):  # gan_request
    _fields_ = [("count", c.c_int64), ("condition", c.POINTER(c.c_float)), ("latents", c.POINTER(c.c_float)),
                ("seed", c.c_uint64), ("first", c.c_int64), ("truncation", c.c_double), ("threads", c.c_int32),
                ("precision", c.c_int32)]


def call(function, *arguments):
    if function(*arguments) != 0:
        sys.exit(gan.gan_error().decode())


gan = c.CDLL("libgan.so.0.1")
gan.gan_error.restype = c.c_char_p
model, about = c.c_void_p(), Description()
call(gan.gan_open, sys.argv[1].encode(), c.byref(model))
call(gan.gan_describe, model, c.byref(about))
if about.dimensions != 3 or about.columns != len(sys.argv) - 3:
    sys.exit("the model must draw images, and one VALUE is needed for each column of its condition")
condition = (c.c_float * (8 * about.columns))(*[float(value) for value in sys.argv[3:]] * 8)
samples = (c.c_float * (8 * about.elements))()
request = Request(count=8, condition=condition if about.columns else None, seed=1)
call(gan.gan_sample, model, c.byref(request), samples, c.c_size_t(len(samples)))

channels, height, width = about.shape
colours, pixels = (1 if channels < 3 else 3), height * width
levels = [min(255, max(0, int(255 * (value - about.low) / (about.high - about.low) + 0.5))) for value in samples]
with open(sys.argv[2], "wb") as picture:
    picture.write(b"P%d\n%d %d\n255\n" % (6 if colours == 3 else 5, width, 8 * height))
    picture.write(bytes(levels[(n * channels + i) * pixels + p]
                        for n in range(8) for p in range(pixels) for i in range(colours)))
