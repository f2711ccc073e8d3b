/* The device control codes of the test drivers. Each driver has its own numbers, starting at 0x800. */
#pragma once

#define TEST_CODE(number, method) CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800 + (number), method, FILE_ANY_ACCESS)
