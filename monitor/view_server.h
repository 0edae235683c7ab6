// ViewServer shows the samples of a run in a browser: one page, and the data
// behind it as JSON, on loopback only.

#ifndef PONDER_MONITOR_VIEW_SERVER_H_
#define PONDER_MONITOR_VIEW_SERVER_H_

#include <map>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "monitor/sample_index.h"

namespace httplib {
class Server;
struct Request;
struct Response;
}  // namespace httplib

namespace ponder {

// Answers GET only:
//
//   /                 the page (view.html), which loads nothing but these:
//   /api/run          name of the run, its files of samples
//   /api/steps        ?stage=S: of at most 500 steps or spans of steps: mean
//                     reward, share that is right, samples
//   /api/groups       ?stage=S&filter=F&step=N&from=G&limit=L: groups with a
//                     sample that matches, from group G on, at most 100
//   /api/group        ?stage=S&group=G&filter=F: the samples of one group, with
//                     texts, and which of them match
//
// Requests whose Host header does not name this server by a loopback name are
// refused, so that a page from elsewhere cannot read along by rebinding its
// domain name. What a request may cost is bounded: it indexes at most 64 MiB
// that are new and sends at most 8 MiB of texts. Texts of models are data in
// the JSON; the page sets them as text, never as markup, and its policy allows
// no script but its own.
//
// Thread-safe.
class ViewServer {
 public:
  // Indexes the files of RUN/samples and listens on 127.0.0.1:`port`; 0 takes
  // any. NOT_FOUND if there are no samples, UNAVAILABLE if the port is taken.
  static absl::StatusOr<std::unique_ptr<ViewServer>> Start(
      const std::string& run_folder, int port);
  // Stops and joins.
  ~ViewServer();

  ViewServer(const ViewServer&) = delete;
  ViewServer& operator=(const ViewServer&) = delete;

  int port() const { return port_; }
  // Samples that are indexed so far.
  size_t num_samples() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  explicit ViewServer(std::string run_folder);

  void Route();
  // Finds new files and reads on in all of them, `max_bytes` each.
  absl::Status Update(int64_t max_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The file of a stage that a request names; null, and the response is an
  // error, if there is none.
  SampleIndex* Find(const httplib::Request& request,
                    httplib::Response& response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  void Page(httplib::Response& response) const;
  void RunInfo(httplib::Response& response) ABSL_LOCKS_EXCLUDED(mu_);
  void Steps(const httplib::Request& request, httplib::Response& response)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Groups(const httplib::Request& request, httplib::Response& response)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Group(const httplib::Request& request, httplib::Response& response)
      ABSL_LOCKS_EXCLUDED(mu_);

  const std::string run_folder_;
  int port_ = 0;
  mutable absl::Mutex mu_;
  // By stage: the file's name without extension. Files that hold something else
  // (pass rates) have no samples, and are not shown.
  std::map<std::string, std::unique_ptr<SampleIndex>> stages_
      ABSL_GUARDED_BY(mu_);
  const std::unique_ptr<httplib::Server> server_;
  std::thread thread_;  // Listens; joined by the destructor.
};

}  // namespace ponder

#endif  // PONDER_MONITOR_VIEW_SERVER_H_
