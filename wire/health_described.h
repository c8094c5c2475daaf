// How a Health is written, for the files of this folder whose messages have one.
#pragma once

#include "wire/described.h"
#include "wire/health_messages.h"

namespace espalier::wire {

template <class V>
void describe(V&& v, const HealthProblem*) {
  v("kind", &HealthProblem::kind);
  v("detail", &HealthProblem::detail);
}

template <class V>
void describe(V&& v, const Health*) {
  v("process", &Health::process);
  v("wall_us", &Health::wall_us);
  v("running_us", &Health::running_us);
  v("newest", &Health::newest);
  v("behind_us", &Health::behind_us);
  v("disk_free", &Health::disk_free);
  v("disk_size", &Health::disk_size);
  v("disk_read_only", &Health::is_disk_read_only);
  v("problems", &Health::problems);
}

}  // namespace espalier::wire
