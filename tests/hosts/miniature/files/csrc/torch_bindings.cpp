#include <Python.h>

int dnnl_version();

static PyObject *onednn(PyObject *, PyObject *) { return PyLong_FromLong(dnnl_version()); }
static PyMethodDef methods[] = {{"onednn", onednn, METH_NOARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_C", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};

extern "C" PyObject *PyInit__C() { return PyModule_Create(&definition); }
