// The state file and those who share it (proxy/state_file).
#include "proxy/state_file.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace pgweir::proxy {
namespace {

namespace fs = std::filesystem;
using health::Fence;

class StateFile : public testing::Test {
protected:
    StateFile() {
        std::string name = (fs::temp_directory_path() / "pgweir-state-XXXXXX").string();
        directory_ = ::mkdtemp(name.data());
        path = directory_ / "main.state";
    }
    ~StateFile() override { fs::remove_all(directory_); }

    Fence kept() const { return *read_state_file(path, "main"); }

    std::string path;

private:
    fs::path directory_;
};

TEST_F(StateFile, KeepsWhatAnotherProcessKnowsBetter) {
    EXPECT_EQ(*write_state_file(path, "main", {7, 5, "a:1"}), Fence());
    EXPECT_EQ(*write_state_file(path, "main", {7, 4, "b:1"}), (Fence{7, 5, "a:1"}));
    EXPECT_EQ(kept(), (Fence{7, 5, "a:1"}));
}

TEST_F(StateFile, ManyWritersLoseNothing) {
    std::vector<std::thread> writers;
    constexpr std::uint32_t writers_max = 4, each = 8;
    for (std::uint32_t writer = 0; writer < writers_max; ++writer) {
        writers.emplace_back([this, writer] {
            for (std::uint32_t i = 0; i < each; ++i) {
                const std::uint32_t timeline = 1 + i * writers_max + writer;
                const Fence fence{7, timeline, "a:1"};
                ASSERT_TRUE(
                    write_state_file(path, "main", fence, std::chrono::minutes(5)).has_value());
                EXPECT_GE(kept().timeline, timeline);
            }
        });
    }
    for (std::thread& writer : writers) writer.join();
    EXPECT_EQ(kept().timeline, writers_max * each);
}

TEST_F(StateFile, ALockThatNobodyGivesBackIsNotWaitedForWithoutEnd) {
    const int fd = ::open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_EQ(::flock(fd, LOCK_EX), 0);
    const std::chrono::milliseconds soon(20);
    EXPECT_TRUE(write_state_file(path, "main", {7, 5, "a:1"}, soon).has_value());
    EXPECT_EQ(kept().timeline, 5u);
    ::close(fd);
}

TEST_F(StateFile, IsReadAgainWhenItHasChanged) {
    EXPECT_EQ(read_if_changed(path, "main", {}).fence.value(), Fence());
    ASSERT_TRUE(write_state_file(path, "main", {7, 5, "a:1"}).has_value());
    const StateFileLook first = read_if_changed(path, "main", {});
    EXPECT_EQ(*first.fence, (Fence{7, 5, "a:1"}));
    const StateFileLook second = read_if_changed(path, "main", first.stamp);
    EXPECT_EQ(second.stamp, first.stamp);
    EXPECT_EQ(*second.fence, Fence());
    ASSERT_TRUE(write_state_file(path, "main", {7, 6, "a:1"}).has_value());
    EXPECT_EQ(read_if_changed(path, "main", first.stamp).fence->timeline, 6u);
    std::ofstream(path) << "something else";
    EXPECT_TRUE(read_if_changed(path, "main", first.stamp).fence.has_error());
}

}  // namespace
}  // namespace pgweir::proxy
