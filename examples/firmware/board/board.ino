/* A board of DACs and ADCs for the toolkit; speaks version 1 of docs/board-protocol.md.
 *
 * For Teensy 3.x and 4.x, Arduino Due, Zero and Uno class boards. Change the part between the two
 * lines of equals signs to your converters: as it is, it drives N_DAC pins by analogWrite() and
 * reads N_ADC pins by analogRead():
 *
 *   Due                            DAC0, DAC1: true DACs, 12 bits
 *   Teensy 3.1 and 3.2             A14: a true DAC, 12 bits; 3: PWM
 *   Teensy 3.5 and 3.6             A21, A22: true DACs, 12 bits
 *   AVR (Uno, Nano, Mega ...)      3, 5: PWM, 8 bits; ADCs of 10 bits; 5 V
 *   all others                     3, 5: PWM; 12 bits and 3.3 V, if that is what they have
 *
 * PWM needs a low-pass filter behind the pin. Pins and macros are those of the cores' sources
 * (variant.h and boards.txt of arduino/ArduinoCore-sam, teensy3/pins_arduino.h of
 * PaulStoffregen/cores), the Due's range of 1/6 to 5/6 of 3.3 V that of its manual. The tests
 * compile each of these choices for a computer; none has been tried on a board.
 *
 * Safety: outputs rest after start, after OFF, and when the host falls silent for longer than the
 * watchdog's time. The watchdog cannot be switched off. Codes are checked before the first is driven.
 */

#include <stdint.h>
#include <string.h>

/* ============================== your board =================================================== */

#define NAME "pnn-board arduino 1.0"
#define N_DAC 2
#define N_ADC 4
#define REST_CODE 0 /* the code nearest to 0 V */
#if defined(__AVR__)
#define DAC_BITS 8
#define ADC_BITS 10
#define SUPPLY_VOLT 5.0f /* 3.3f on a board of 3.3 V */
#else
#define DAC_BITS 12
#define ADC_BITS 12
#define SUPPLY_VOLT 3.3f
#endif
#if defined(ARDUINO_SAM_DUE)
#define DAC_MIN_VOLT (SUPPLY_VOLT / 6)
#define DAC_MAX_VOLT (SUPPLY_VOLT * 5 / 6)
#else
#define DAC_MIN_VOLT 0.0f
#define DAC_MAX_VOLT SUPPLY_VOLT
#endif
#define ADC_MIN_VOLT 0.0f
#define ADC_MAX_VOLT SUPPLY_VOLT

/* RAM: two buffers of MAX_PAYLOAD + 16 bytes. */
#if defined(__AVR__)
#define MAX_PAYLOAD 256
#elif defined(TEENSYDUINO) || defined(ARDUINO_SAM_DUE)
#define MAX_PAYLOAD 8192
#else
#define MAX_PAYLOAD 2048
#endif

/* By the board: the names of pins are constants of C++, which #if does not know. */
#if defined(ARDUINO_SAM_DUE)
static const uint8_t dacPins[N_DAC] = {DAC0, DAC1};
#elif defined(__MK20DX256__) /* Teensy 3.1, 3.2 */
static const uint8_t dacPins[N_DAC] = {A14, 3};
#elif defined(__MK64FX512__) || defined(__MK66FX1M0__) /* Teensy 3.5, 3.6 */
static const uint8_t dacPins[N_DAC] = {A21, A22};
#else
static const uint8_t dacPins[N_DAC] = {3, 5}; /* PWM: add a low-pass filter */
#endif
static const uint8_t adcPins[N_ADC] = {A0, A1, A2, A3};

static void setupConverters() {
#if !defined(__AVR__)
  analogWriteResolution(DAC_BITS);
  analogReadResolution(ADC_BITS);
#endif
  for (uint8_t k = 0; k < N_DAC; k++) pinMode(dacPins[k], OUTPUT);
}

static void writeDac(uint8_t channel, uint16_t code) { analogWrite(dacPins[channel], code); }

static uint16_t readAdc(uint8_t channel) { return analogRead(adcPins[channel]); }

/* 0.01 degree Celsius; -32768 where there is no sensor. */
static int16_t readTemperature() { return -32768; }

/* ============================================================================================= */

#define VERSION 1
#define DEFAULT_WATCHDOG_MS 1000UL
#define TOP_DAC ((1UL << DAC_BITS) - 1)
#define TOP_ADC ((1UL << ADC_BITS) - 1)
#define HEAD 3 /* sequence, operation */
#define CRC 4
#define FRAME (HEAD + MAX_PAYLOAD + CRC)
#define CODED (FRAME + FRAME / 254 + 2)

enum { HELLO = 0x01, WATCHDOG, OFF, STATUS, TIMING, LIMITS, WRITE = 0x10, READ, MEASURE, PING = 0x7E,
       REFUSED = 0xFF };
enum { UNKNOWN = 1, LENGTH, RANGE, TOO_MANY };

static uint8_t in[CODED];   /* what comes, decoded in place */
static uint8_t out[FRAME];  /* the answer */
static uint16_t inLength = 0;
static bool tooLong = false;

static uint16_t codes[N_DAC];
static uint16_t lowCode[N_DAC], highCode[N_DAC];
static uint32_t settleUs = 0;
static uint16_t conversions = 1;
static uint32_t watchdogMs = DEFAULT_WATCHDOG_MS;
static uint32_t lastHeardMs = 0;
static uint16_t trips = 0, dropped = 0;
static bool driving = false;

/* -- numbers, little-endian on every processor ------------------------------------------------ */

static uint16_t get16(const uint8_t *p) { return p[0] | (uint16_t)p[1] << 8; }
static uint32_t get32(const uint8_t *p) { return get16(p) | (uint32_t)get16(p + 2) << 16; }
static uint8_t *put16(uint8_t *p, uint16_t v) {
  p[0] = v;
  p[1] = v >> 8;
  return p + 2;
}
static uint8_t *put32(uint8_t *p, uint32_t v) { return put16(put16(p, v), v >> 16); }
static uint8_t *putFloat(uint8_t *p, float v) {
  uint32_t bits;
  memcpy(&bits, &v, 4);
  return put32(p, bits);
}

/* CRC-32 of Ethernet and zip, half a byte at a time: 64 bytes of table. */
static uint32_t crc32(const uint8_t *p, uint16_t n) {
  static const uint32_t table[16] = {
      0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
      0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
  uint32_t crc = 0xFFFFFFFFUL;
  while (n--) {
    crc ^= *p++;
    crc = crc >> 4 ^ table[crc & 15];
    crc = crc >> 4 ^ table[crc & 15];
  }
  return ~crc;
}

/* -- frames ----------------------------------------------------------------------------------- */

/* Decodes COBS in place; returns the length, or 0 if it is none. */
static uint16_t decode(uint8_t *p, uint16_t n) {
  uint16_t from = 0, to = 0;
  while (from < n) {
    uint8_t code = p[from++];
    if (code == 0 || from + code - 1 > n) return 0;
    for (uint8_t k = 1; k < code; k++) p[to++] = p[from++];
    if (code < 255 && from < n) p[to++] = 0;
  }
  return to;
}

/* Sends `out`, n bytes of body, with its CRC, as COBS. */
static void sendFrame(uint16_t n) {
  put32(out + n, crc32(out, n));
  n += CRC;
  uint16_t start = 0;
  for (;;) {
    uint16_t end = start;
    while (end < n && out[end] != 0 && end - start < 254) end++;
    Serial.write((uint8_t)(end - start + 1));
    Serial.write(out + start, end - start);
    if (end >= n) break;
    start = out[end] == 0 ? end + 1 : end; /* a full group stands for no zero */
    if (start >= n) {
      Serial.write((uint8_t)1); /* the body ended with a zero */
      break;
    }
  }
  Serial.write((uint8_t)0);
  Serial.flush();
}

static void refuse(uint8_t operation, uint8_t code, const char *text) {
  out[2] = REFUSED;
  out[HEAD] = operation;
  out[HEAD + 1] = code;
  uint16_t n = strlen(text);
  memcpy(out + HEAD + 2, text, n);
  sendFrame(HEAD + 2 + n);
}

/* -- what the board does ---------------------------------------------------------------------- */

static void rest() {
  for (uint8_t k = 0; k < N_DAC; k++) writeDac(k, codes[k] = REST_CODE);
  driving = false;
}

static bool legal(const uint8_t *p) {
  for (uint8_t k = 0; k < N_DAC; k++) {
    uint16_t code = get16(p + 2 * k);
    if (code > TOP_DAC || code < lowCode[k] || code > highCode[k]) return false;
  }
  return true;
}

static void drive(const uint8_t *p) {
  driving = true;
  for (uint8_t k = 0; k < N_DAC; k++) writeDac(k, codes[k] = get16(p + 2 * k));
}

/* Writes flags and words of all channels to p. */
static uint8_t *convert(uint8_t *p) {
  uint8_t *flags = p++;
  *flags = 0;
  for (uint8_t k = 0; k < N_ADC; k++) {
    uint32_t sum = 0;
    for (uint16_t i = 0; i < conversions; i++) {
      uint16_t c = readAdc(k);
      if (c == 0 || c >= TOP_ADC) *flags |= 1;
      sum += c;
    }
    uint64_t full = (uint64_t)TOP_ADC * conversions;
    p = put16(p, (uint16_t)(((uint64_t)sum * 65535 + full / 2) / full));
  }
  return p;
}

static void waitUs(uint32_t us) {
  if (us >= 1000) delay(us / 1000);
  delayMicroseconds(us % 1000);
}

static void hello(uint8_t *p) {
  *p++ = VERSION;
  *p++ = N_DAC;
  *p++ = N_ADC;
  *p++ = DAC_BITS;
  *p++ = ADC_BITS;
  p = put16(p, MAX_PAYLOAD);
  p = putFloat(p, DAC_MIN_VOLT);
  p = putFloat(p, DAC_MAX_VOLT);
  p = putFloat(p, ADC_MIN_VOLT);
  p = putFloat(p, ADC_MAX_VOLT);
  p = put16(p, REST_CODE);
  p = put32(p, watchdogMs);
  memcpy(p, NAME, strlen(NAME));
  sendFrame(p + strlen(NAME) - out);
}

static void measure(uint8_t operation, const uint8_t *p, uint16_t n) {
  uint16_t rows = n >= 2 ? get16(p) : 0;
  if (n < 2 || n != 2 + (uint32_t)rows * 2 * N_DAC) return refuse(operation, LENGTH, "rows");
  if (2 + (uint32_t)rows * (1 + 2 * N_ADC) > MAX_PAYLOAD) return refuse(operation, TOO_MANY, "rows");
  for (uint16_t r = 0; r < rows; r++)
    if (!legal(p + 2 + r * 2 * N_DAC)) return refuse(operation, RANGE, "code");
  uint8_t *to = put16(out + HEAD, rows);
  for (uint16_t r = 0; r < rows; r++) {
    drive(p + 2 + r * 2 * N_DAC);
    waitUs(settleUs);
    to = convert(to);
  }
  sendFrame(to - out);
}

static void serve(const uint8_t *body, uint16_t n) {
  uint8_t operation = body[2];
  const uint8_t *p = body + HEAD;
  n -= HEAD;
  out[0] = body[0];
  out[1] = body[1];
  out[2] = operation | 0x80;
  uint8_t *to = out + HEAD;
  switch (operation) {
    case HELLO:
      if (n != 1) return refuse(operation, LENGTH, "version");
      if (p[0] != VERSION) return refuse(operation, RANGE, "version");
      return hello(to);
    case WATCHDOG:
      if (n != 4) return refuse(operation, LENGTH, "watchdog");
      if (get32(p) < 50 || get32(p) > 60000) return refuse(operation, RANGE, "watchdog");
      watchdogMs = get32(p);
      return sendFrame(put32(to, watchdogMs) - out);
    case OFF:
      if (n != 0) return refuse(operation, LENGTH, "off");
      rest();
      return sendFrame(HEAD);
    case STATUS:
      if (n != 0) return refuse(operation, LENGTH, "status");
      *to++ = driving;
      to = put16(to, trips);
      to = put16(to, dropped);
      to = put32(to, millis());
      return sendFrame(put16(to, (uint16_t)readTemperature()) - out);
    case TIMING:
      if (n != 6) return refuse(operation, LENGTH, "timing");
      if (get16(p + 4) < 1 || get16(p + 4) > 256) return refuse(operation, RANGE, "conversions");
      settleUs = get32(p);
      conversions = get16(p + 4);
      return sendFrame(put16(put32(to, settleUs), conversions) - out);
    case LIMITS:
      if (n != 4 * N_DAC) return refuse(operation, LENGTH, "limits");
      for (uint8_t k = 0; k < N_DAC; k++) {
        uint16_t low = get16(p + 4 * k), high = get16(p + 4 * k + 2);
        if (low > high || high > TOP_DAC) return refuse(operation, RANGE, "limits");
      }
      for (uint8_t k = 0; k < N_DAC; k++) {
        lowCode[k] = get16(p + 4 * k);
        highCode[k] = get16(p + 4 * k + 2);
        to = put16(put16(to, lowCode[k]), highCode[k]);
      }
      return sendFrame(to - out);
    case WRITE:
      if (n != 2 * N_DAC) return refuse(operation, LENGTH, "codes");
      if (!legal(p)) return refuse(operation, RANGE, "code");
      drive(p);
      for (uint8_t k = 0; k < N_DAC; k++) to = put16(to, codes[k]);
      return sendFrame(to - out);
    case READ:
      if (n != 0) return refuse(operation, LENGTH, "read");
      return sendFrame(convert(to) - out);
    case MEASURE:
      return measure(operation, p, n);
    case PING:
      if (n > 16) return refuse(operation, LENGTH, "ping");
      memcpy(to, p, n);
      return sendFrame(HEAD + n);
    default:
      return refuse(operation, UNKNOWN, "operation");
  }
}

/* A zero has come: what was before it is a frame, or nothing. */
static void endOfFrame() {
  uint16_t coded = inLength;
  bool bad = tooLong;
  inLength = 0;
  tooLong = false;
  if (coded == 0 && !bad) return;
  uint16_t n = bad ? 0 : decode(in, coded);
  if (n < HEAD + CRC || n > FRAME || crc32(in, n - CRC) != get32(in + n - CRC)) {
    dropped++;
    return;
  }
  lastHeardMs = millis();
  serve(in, n - CRC);
  lastHeardMs = millis(); /* measuring may take longer than the host's silence is allowed to */
}

void setup() {
  setupConverters();
  for (uint8_t k = 0; k < N_DAC; k++) {
    lowCode[k] = 0;
    highCode[k] = TOP_DAC;
  }
  rest();
  Serial.begin(115200);
  lastHeardMs = millis();
}

void loop() {
  while (Serial.available() > 0) {
    uint8_t c = Serial.read();
    if (c == 0) {
      endOfFrame();
    } else if (inLength < sizeof in) {
      in[inLength++] = c;
    } else {
      tooLong = true;
    }
  }
  if (driving && millis() - lastHeardMs > watchdogMs) {
    rest();
    trips++;
  }
}
