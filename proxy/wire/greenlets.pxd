# Switching greenlets without a detour through Python attribute look-ups.
from cpython.object cimport PyObject

cdef extern from "greenlet.h":
    ctypedef class greenlet.greenlet [object PyGreenlet]:
        pass
    void PyGreenlet_Import()          # once in each module that switches
    greenlet PyGreenlet_GetCurrent()
    object PyGreenlet_Switch(greenlet target, PyObject* args, PyObject* kwargs)
