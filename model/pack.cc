#include "model/pack.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "common/log.h"
#include "model/artefact.h"
#include "model/pack_format.h"

namespace espalier::model {

struct Pack::State {
  struct Segment {
    std::uint32_t number = 0;
    std::string path;
    std::unique_ptr<Mapping> mapping;
  };
  struct Place {
    std::size_t segment;
    std::uint64_t offset;
    std::uint64_t size;
  };

  Files& files;
  std::string folder;
  PackOptions options;

  std::vector<Segment> segments;
  std::unordered_map<Hash256, Place> index;
  std::uint64_t artefact_bytes = 0;

  // The last segment, while frames may be added to it; closed: null.
  std::unique_ptr<File> writable;
  std::uint64_t end = 0;          ///< where its next frame goes
  std::vector<Hash256> unsynced;  ///< added since the last sync()

  std::string_view bytes_of(const Place& place) const {
    return segments[place.segment].mapping->bytes().substr(place.offset, place.size);
  }

  void keep(const Hash256& hash, Place place) {
    drop(hash);
    index.emplace(hash, place);
    artefact_bytes += place.size;
  }

  void drop(const Hash256& hash) {
    const auto it = index.find(hash);
    if (it == index.end()) return;
    artefact_bytes -= it->second.size;
    index.erase(it);
  }

  Status load();
  Status load_segment(std::uint32_t number, bool is_last);
  bool secure_tail(Segment& segment, File& file, const SegmentContents& contents);
  Status make_segment(std::uint64_t bytes);
  Status remove_unfinished(const std::vector<std::string>& names);
  Status seal();
  Status sync();
  Status write_frame(const Hash256& hash, std::string_view bytes);
};

Status Pack::State::load() {
  RETURN_IF_ERROR(files.create_directories(folder));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, files.list(folder));
  RETURN_IF_ERROR(remove_unfinished(names));
  std::vector<std::uint32_t> numbers;
  for (const std::string& name : names) {
    if (const auto number = parse_segment_name(name)) numbers.push_back(*number);
  }
  std::ranges::sort(numbers);
  for (const std::uint32_t number : numbers) RETURN_IF_ERROR(load_segment(number, number == numbers.back()));
  return {};
}

/// A segment that was being made when the process ended holds nothing.
Status Pack::State::remove_unfinished(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (name.starts_with("segment-") && name.ends_with(kMakingSuffix)) {
      RETURN_IF_ERROR(files.remove(folder + "/" + name));
    }
  }
  return {};
}

Status Pack::State::load_segment(std::uint32_t number, bool is_last) {
  Segment segment{number, folder + "/" + segment_name(number), nullptr};
  ASSIGN_OR_RETURN(segment.mapping, files.map(segment.path));
  const auto walked = walk_segment(segment.mapping->bytes(), number);
  if (walked.status().code() == Code::unimplemented) return walked.status().at(segment.path);
  if (!walked.ok()) log::warn("pack", "segment set aside", {{"path", segment.path}, {"reason", walked.status()}});
  const SegmentContents contents = walked.ok() ? *walked : SegmentContents{};
  const bool is_usable = walked.ok() && !contents.is_damaged;
  if (contents.is_damaged) log::warn("pack", "segment damaged", {{"path", segment.path}, {"offset", contents.end}});
  segments.push_back(std::move(segment));
  const std::size_t place = segments.size() - 1;
  for (std::size_t i = 0; i < contents.durable_frames; ++i) {
    const Frame& frame = contents.frames[i];
    keep(frame.hash, {place, frame.offset, frame.size});
  }
  const bool has_tail = contents.frames.size() > contents.durable_frames;
  if (!has_tail && !(is_last && is_usable)) return {};
  ASSIGN_OR_RETURN(std::unique_ptr<File> file, files.open(segments.back().path, false));
  if (has_tail && !secure_tail(segments.back(), *file, contents)) return {};
  if (!is_last || !is_usable) return {};
  end = contents.end;
  writable = std::move(file);
  return {};
}

/// The frames after the last mark may or may not have reached the disk: those with the right hash are written over
/// themselves, so that the sync that follows covers them whatever happened to an earlier one, and then count. False
/// when the segment must not be written to any more.
bool Pack::State::secure_tail(Segment& segment, File& file, const SegmentContents& contents) {
  const std::size_t place = segments.size() - 1;
  std::vector<Frame> good;
  Status status;
  for (std::size_t i = contents.durable_frames; i < contents.frames.size() && status.ok(); ++i) {
    const Frame& frame = contents.frames[i];
    const std::string_view bytes = segment.mapping->bytes().substr(frame.offset, frame.size);
    if (blake2b_256(bytes) != frame.hash) continue;
    status = file.write_at(
        frame.offset - kPackHeaderBytes,
        std::string(segment.mapping->bytes().substr(frame.offset - kPackHeaderBytes, kPackHeaderBytes + frame.size)));
    good.push_back(frame);
  }
  if (status.ok()) status = file.sync();
  if (!status.ok()) {
    log::warn("pack", "unsynced tail left out", {{"path", segment.path}, {"reason", status}});
    return false;
  }
  for (const Frame& frame : good) keep(frame.hash, {place, frame.offset, frame.size});
  const std::size_t torn = contents.frames.size() - contents.durable_frames - good.size();
  if (torn > 0) log::warn("pack", "torn frames left out", {{"path", segment.path}, {"frames", torn}});
  // A mark says that all before it is whole: where that isn't so there must never be one.
  return torn == 0;
}

Status Pack::State::make_segment(std::uint64_t bytes) {
  const std::uint32_t number = segments.empty() ? 1 : segments.back().number + 1;
  Segment segment{number, folder + "/" + segment_name(number), nullptr};
  const std::string making = segment.path + std::string(kMakingSuffix);
  const auto make = [&]() -> Status {
    if (files.exists(making)) RETURN_IF_ERROR(files.remove(making));
    ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.open(making, true));
    RETURN_IF_ERROR(file->preallocate(bytes));
    RETURN_IF_ERROR(file->write_at(0, segment_header(number, bytes)));
    RETURN_IF_ERROR(file->sync());
    RETURN_IF_ERROR(files.rename(making, segment.path));
    return files.sync_directory(folder);
  };
  if (const Status made = make(); !made.ok()) {
    // What has no frame yet is worth nothing; left behind it would take space.
    static_cast<void>(files.remove(making));
    static_cast<void>(files.remove(segment.path));
    return made;
  }
  ASSIGN_OR_RETURN(segment.mapping, files.map(segment.path));
  ASSIGN_OR_RETURN(writable, files.open(segment.path, false));
  segments.push_back(std::move(segment));
  end = kPackHeaderBytes;
  return {};
}

/// The last segment takes no more frames. Its mark is synced too, so that later starts need not look at its frames
/// again.
Status Pack::State::seal() {
  if (writable == nullptr) return {};
  RETURN_IF_ERROR(sync());
  RETURN_IF_ERROR(writable->sync());
  writable.reset();
  std::error_code ignored;  // for people and tools; this process opens it for reading only
  std::filesystem::permissions(
      segments.back().path,
      std::filesystem::perms::owner_read | std::filesystem::perms::group_read | std::filesystem::perms::others_read,
      ignored);
  return {};
}

Status Pack::State::sync() {
  if (unsynced.empty()) return {};
  const Status synced = writable->sync();
  if (!synced.ok()) {
    // The kernel may have dropped what it could not write and say nothing at the next attempt: these bytes are not to
    // be trusted, nor is the segment.
    for (const Hash256& hash : unsynced) drop(hash);
    unsynced.clear();
    writable.reset();
    return synced;
  }
  unsynced.clear();
  // A mark that fails or is lost costs the next start the hashing of the frames before it, nothing else.
  if (writable->write_at(end, mark_header(end)).ok()) end += kPackHeaderBytes;
  return {};
}

Status Pack::State::write_frame(const Hash256& hash, std::string_view bytes) {
  // The bytes come first: until the header is there, the walk ends before them.
  RETURN_IF_ERROR(writable->write_at(end + kPackHeaderBytes, bytes));
  RETURN_IF_ERROR(writable->write_at(end, frame_header(hash, bytes.size())));
  keep(hash, {segments.size() - 1, end + kPackHeaderBytes, bytes.size()});
  unsynced.push_back(hash);
  end += frame_bytes(bytes.size());
  return {};
}

Pack::Pack(std::unique_ptr<State> state) : state_(std::move(state)) {}
Pack::~Pack() = default;

Result<std::unique_ptr<Pack>> Pack::open(Files& files, const std::string& folder, PackOptions options) {
  auto state = std::unique_ptr<State>(new State{files, folder, options, {}, {}, 0, nullptr, 0, {}});
  RETURN_IF_ERROR(state->load());
  return std::unique_ptr<Pack>(new Pack(std::move(state)));
}

Status Pack::add(const Hash256& hash, std::string_view bytes) {
  if (bytes.empty() || bytes.size() > kMaxArtefactBytes) {
    return invalid_argument("an artefact of " + std::to_string(bytes.size()) + " bytes");
  }
  if (state_->index.contains(hash)) return {};
  // A mark must still fit behind it.
  const std::uint64_t needed = frame_bytes(bytes.size()) + kPackHeaderBytes;
  if (state_->writable != nullptr && needed > state_->segments.back().mapping->bytes().size() - state_->end) {
    RETURN_IF_ERROR(state_->seal());
  }
  if (state_->writable == nullptr) {
    RETURN_IF_ERROR(state_->make_segment(std::max(state_->options.segment_bytes, kPackHeaderBytes + needed)));
  }
  return state_->write_frame(hash, bytes);
}

Status Pack::sync() { return state_->sync(); }

std::optional<std::string_view> Pack::find(const Hash256& hash) const {
  const auto it = state_->index.find(hash);
  if (it == state_->index.end()) return {};
  return state_->bytes_of(it->second);
}

Status Pack::verify(const Hash256& hash) {
  const auto bytes = find(hash);
  if (!bytes) return not_found("artefact " + hash.hex());
  if (blake2b_256(*bytes) == hash) return {};
  const std::string path = state_->segments[state_->index.at(hash).segment].path;
  forget(hash);
  return corrupt(path + ": artefact " + hash.hex() + " no longer has its hash");
}

void Pack::forget(const Hash256& hash) { state_->drop(hash); }

Result<std::uint64_t> Pack::salvage(bool dry_run) {
  std::uint64_t found = 0;
  // Adding makes segments; those are sound.
  const std::size_t segments = state_->segments.size();
  for (std::size_t i = 0; i < segments; ++i) {
    const std::string_view bytes = state_->segments[i].mapping->bytes();
    const auto walked = walk_segment(bytes, state_->segments[i].number);
    if (walked.ok() && !walked->is_damaged) continue;
    for (const Frame& frame : frames_anywhere(bytes, walked.ok() ? walked->end : kPackHeaderBytes)) {
      const std::string_view artefact = bytes.substr(frame.offset, frame.size);
      if (state_->index.contains(frame.hash) || blake2b_256(artefact) != frame.hash) continue;
      ++found;
      if (!dry_run) RETURN_IF_ERROR(add(frame.hash, artefact));
    }
  }
  if (!dry_run) RETURN_IF_ERROR(sync());
  return found;
}

std::vector<Hash256> Pack::hashes() const {
  std::vector<Hash256> result;
  result.reserve(state_->index.size());
  for (const auto& [hash, place] : state_->index) result.push_back(hash);
  std::ranges::sort(result);
  return result;
}

std::uint64_t Pack::artefact_bytes() const { return state_->artefact_bytes; }

std::uint64_t Pack::disk_bytes() const {
  std::uint64_t sum = 0;
  for (const State::Segment& segment : state_->segments) sum += segment.mapping->bytes().size();
  return sum;
}

}  // namespace espalier::model
