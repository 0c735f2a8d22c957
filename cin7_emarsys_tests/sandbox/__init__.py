"""Tests of the sandbox: the merchant as plain objects, the vendors over real HTTP."""
