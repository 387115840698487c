/*
 * The load: holds thousands of connections and finds the time of each notification in the bytes that arrive, the same way
 * for every server, so that it costs a fraction of what it measures. One thread, epoll, no allocation for each message.
 *
 * Commands on stdin, one a line; an answer on stdout for each:
 *
 *   open PORT COUNT ATONCE READY REPLY FILE  connections, so many at once in the making; READY ends a server's greeting.
 *                                            FILE: requests, each as a line with its length and then its bytes, in turn
 *                                            REPLY: what is said after the first bytes have come, in hexadecimal, or -
 *   tell PORT STEP                           tells the server there, whenever so many more have arrived, how many have in all
 *   take                                     what has arrived since the last `take`
 *   stall COUNT                              so many connections read nothing from now on
 *   close                                    ends all
 *
 * `take` answers: count (notifications), bytes, latency percentiles in microseconds, connections open and ended, own CPU.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* What stands before the time of a notification, in all servers' messages. */
static const char MARK[] = "\"changedDate\":";
#define MARK_LENGTH (sizeof MARK - 1)
#define READ_SIZE 262144
#define EVENTS 512
/* Latencies are counted in 32 steps for each doubling: 3 % of a value, up to 2^40 microseconds. */
#define STEPS 32
#define BUCKETS (41 * STEPS)

typedef struct {
  int fd; /* -1: closed */
  uint8_t ready;
  uint8_t said;        /* what is said after the first bytes */
  uint8_t matched;     /* of MARK, or of READY before */
  uint8_t in_digits;
  uint64_t value;      /* the digits so far */
} Connection;

static Connection *connections;
static int total, opened, ready_count, ended, pending;
static char ready_text[128];
static size_t ready_length;
static char reply[128];
static size_t reply_length;
static int port, at_once;
static char **requests;
static size_t *request_lengths;
static int request_count;
static int epoll_fd;
static uint64_t count, bytes, buckets[BUCKETS];
static char buffer[READ_SIZE];
static int tell_fd = -1;
static uint64_t arrived, told, tell_step;

static uint64_t micros(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void die(const char *what) {
  fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int bucket_of(uint64_t value) {
  if (value < STEPS) return (int)value;
  int doubling = 63 - __builtin_clzll(value);
  int step = (int)((value >> (doubling - 5)) & (STEPS - 1));
  int bucket = (doubling - 4) * STEPS + step;
  return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static double value_of(int bucket) {
  if (bucket < STEPS) return bucket;
  int doubling = bucket / STEPS + 4;
  return (double)((uint64_t)(STEPS + bucket % STEPS) << (doubling - 5));
}

static double quantile(double q) {
  uint64_t seen = 0, wanted = (uint64_t)(q * (double)count);
  for (int bucket = 0; bucket < BUCKETS; bucket++) {
    seen += buckets[bucket];
    if (seen > wanted) return value_of(bucket);
  }
  return 0;
}

static void close_one(Connection *one) {
  if (one->fd < 0) return;
  close(one->fd);
  one->fd = -1;
  ended++;
  if (!one->ready) pending--;
}

static void connect_one(int index) {
  Connection *one = &connections[index];
  memset(one, 0, sizeof *one);
  one->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (one->fd < 0) die("socket");
  int on = 1;
  setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  /* On the loopback this returns at once. */
  if (connect(one->fd, (struct sockaddr *)&address, sizeof address) < 0) die("connect");
  int turn = index % request_count;
  if (write(one->fd, requests[turn], request_lengths[turn]) != (ssize_t)request_lengths[turn]) die("write");
  fcntl(one->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)index};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, one->fd, &event) < 0) die("epoll_ctl");
  opened++;
  pending++;
}

static void connect_more(void) {
  while (opened < total && pending < at_once) connect_one(opened);
}

static void scan(Connection *one, const char *text, size_t length, uint64_t now) {
  const char *end = text + length;
  if (!one->ready) {
    for (; text < end; text++) {
      one->matched = *text == ready_text[one->matched] ? one->matched + 1 : *text == ready_text[0];
      if (one->matched == ready_length) {
        one->ready = 1;
        one->matched = 0;
        ready_count++;
        pending--;
        text++;
        break;
      }
    }
  }
  while (text < end) {
    if (one->in_digits) {
      if (*text >= '0' && *text <= '9') {
        one->value = one->value * 10 + (uint64_t)(*text++ - '0');
        continue;
      }
      one->in_digits = 0;
      count++;
      arrived++;
      buckets[bucket_of(now > one->value ? now - one->value : 0)]++;
      continue;
    }
    if (one->matched == 0) {
      text = memchr(text, MARK[0], (size_t)(end - text));
      if (!text) return;
    }
    if (*text == MARK[one->matched]) {
      text++;
      if (++one->matched == MARK_LENGTH) {
        one->matched = 0;
        one->in_digits = 1;
        one->value = 0;
      }
    } else {
      one->matched = *text == MARK[0];
      text++;
    }
  }
}

static void readable(Connection *one) {
  for (;;) {
    ssize_t got = read(one->fd, buffer, READ_SIZE);
    if (got > 0) {
      bytes += (uint64_t)got;
      if (!one->said) {
        one->said = 1;
        if (reply_length > 0 && write(one->fd, reply, reply_length) != (ssize_t)reply_length) die("write");
      }
      scan(one, buffer, (size_t)got, micros());
      if (got < READ_SIZE) return;
    } else if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    } else {
      close_one(one);
      return;
    }
  }
}

static void load_requests(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) die(path);
  size_t length;
  request_count = 0;
  while (fscanf(file, "%zu", &length) == 1) {
    fgetc(file);
    requests = realloc(requests, sizeof *requests * (size_t)(request_count + 1));
    request_lengths = realloc(request_lengths, sizeof *request_lengths * (size_t)(request_count + 1));
    requests[request_count] = malloc(length);
    if (fread(requests[request_count], 1, length, file) != length) die(path);
    request_lengths[request_count++] = length;
  }
  fclose(file);
}

static void close_all(void) {
  for (int index = 0; index < opened; index++)
    if (connections[index].fd >= 0) {
      /* Without the end's wait: ten thousand ports would be taken for a minute. */
      struct linger now = {.l_onoff = 1, .l_linger = 0};
      setsockopt(connections[index].fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
      close(connections[index].fd);
    }
  free(connections);
  for (int index = 0; index < request_count; index++) free(requests[index]);
  connections = NULL;
  total = opened = ready_count = ended = pending = request_count = 0;
}

static void answer_take(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
  printf("{\"count\":%llu,\"bytes\":%llu,\"p50\":%.0f,\"p99\":%.0f,\"open\":%d,\"ended\":%d,\"cpu\":%.0f}\n",
         (unsigned long long)count, (unsigned long long)bytes, quantile(0.5), quantile(0.99), ready_count - ended, ended,
         cpu);
  count = bytes = 0;
  memset(buckets, 0, sizeof buckets);
}

/* Lets the server go on as soon as what it has sent has been read. */
static void tell(void) {
  if (tell_fd < 0 || arrived - told < tell_step) return;
  told = arrived;
  char line[32];
  int length = snprintf(line, sizeof line, "%llu\n", (unsigned long long)arrived);
  if (write(tell_fd, line, (size_t)length) != length) die("tell");
}

static void tell_to(int to, int step) {
  if (tell_fd >= 0) close(tell_fd);
  tell_step = (uint64_t)step;
  arrived = told = 0;
  tell_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;
  setsockopt(tell_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)to)};
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  if (connect(tell_fd, (struct sockaddr *)&address, sizeof address) < 0) die("tell");
}

/* Set while `open` has not been answered. */
static int opening;

static void command(char *line) {
  char path[1024], text[128], hex[256];
  int number, concurrent, given_port;
  if (sscanf(line, "open %d %d %d %127s %255s %1023s", &given_port, &number, &concurrent, text, hex, path) == 6) {
    port = given_port;
    total = number;
    at_once = concurrent;
    /* No line of commands can hold a space within a word: `+` stands for one. */
    for (char *at = text; *at; at++)
      if (*at == '+') *at = ' ';
    strcpy(ready_text, text);
    ready_length = strlen(text);
    reply_length = 0;
    unsigned int byte;
    for (char *at = hex; sscanf(at, "%2x", &byte) == 1; at += 2) reply[reply_length++] = (char)byte;
    load_requests(path);
    connections = calloc((size_t)total, sizeof *connections);
    opening = 1;
    connect_more();
    return;
  }
  if (strncmp(line, "take", 4) == 0) {
    answer_take();
  } else if (sscanf(line, "tell %d %d", &given_port, &number) == 2) {
    tell_to(given_port, number);
    puts("{}");
  } else if (sscanf(line, "stall %d", &number) == 1) {
    for (int index = 0; index < number && index < opened; index++)
      epoll_ctl(epoll_fd, EPOLL_CTL_DEL, connections[index].fd, NULL);
    puts("{}");
  } else if (strncmp(line, "close", 5) == 0) {
    close_all();
    puts("{}");
  } else {
    fprintf(stderr, "crowd: what is: %s\n", line);
    exit(1);
  }
  fflush(stdout);
}

int main(void) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event input = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, 0, &input);
  static char line[2048];
  size_t held = 0;
  struct epoll_event events[EVENTS];
  for (;;) {
    int many = epoll_wait(epoll_fd, events, EVENTS, -1);
    for (int n = 0; n < many; n++) {
      if (events[n].data.u32 == UINT32_MAX) {
        ssize_t got = read(0, line + held, sizeof line - held - 1);
        if (got <= 0) return 0; /* its parent has gone */
        held += (size_t)got;
        line[held] = 0;
        char *end;
        while ((end = memchr(line, '\n', held))) {
          *end = 0;
          command(line);
          held -= (size_t)(end + 1 - line);
          memmove(line, end + 1, held + 1);
        }
      } else {
        Connection *one = &connections[events[n].data.u32];
        if (connections && one->fd >= 0) readable(one);
        tell();
      }
    }
    if (opening) {
      connect_more();
      if (ready_count + ended >= total) {
        opening = 0;
        printf("{\"ready\":%d,\"ended\":%d}\n", ready_count, ended);
        fflush(stdout);
      }
    }
  }
}
