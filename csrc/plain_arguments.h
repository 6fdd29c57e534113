// The usual arguments of small calls, recognized without the microseconds that checks in Python take.
#pragma once

#include <optional>
#include <utility>

#include "bindings.h"

namespace vtsearch {

// An array of this type and so many dimensions, C-contiguous, of the very class of numpy's arrays.
template <class T>
bool is_plain(const py::object& value, py::ssize_t dimensions) {
  return Py_TYPE(value.ptr()) == py::detail::npy_api::get().PyArray_Type_ &&
         py::array_t<T, py::array::c_style>::check_(value) &&
         py::reinterpret_borrow<py::array>(value).ndim() == dimensions;
}

// Codes of one width as the engine takes them, the database of at most so many bytes; none for anything else.
inline std::optional<std::pair<Codes, Codes>> plain_codes(const py::object& query_codes, const py::object& db_codes,
                                                          std::size_t most_bytes) {
  if (!is_plain<std::uint8_t>(query_codes, 2) || !is_plain<std::uint8_t>(db_codes, 2)) return std::nullopt;
  auto queries = py::reinterpret_borrow<Codes>(query_codes), database = py::reinterpret_borrow<Codes>(db_codes);
  const py::ssize_t width = database.shape(1);
  if (queries.shape(1) != width || width < 1 || size(width) > width_limit) return std::nullopt;
  if (size(database.nbytes()) > most_bytes) return std::nullopt;
  return std::pair{std::move(queries), std::move(database)};
}

// The value of an int of at least 1; 0 for anything else.
inline py::ssize_t positive_int(const py::object& value) {
  if (!PyLong_CheckExact(value.ptr())) return 0;
  const py::ssize_t number = PyLong_AsSsize_t(value.ptr());
  if (number == -1 && PyErr_Occurred() != nullptr) PyErr_Clear();
  return number < 1 ? 0 : number;
}

}  // namespace vtsearch
