import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { startTestGateway } from './testing/start-gateway.ts';

const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const skip = existsSync(executablePath) ? false : `needs a browser: there is no ${executablePath}; CHROMIUM names another`;

test('a person signs in on the first page and tries a call on the reference', { skip }, async () => {
  await using gateway = await startTestGateway();
  const browser = await chromium.launch({ executablePath, args: ['--headless', '--no-sandbox'] });
  try {
    const page = await browser.newPage();
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (line) => {
      // The first look at who is signed in is answered with 401.
      if (line.type() === 'error' && !line.text().includes('401')) problems.push(line.text());
    });
    await page.goto(gateway.url);
    await page.getByLabel('Name').fill(gateway.admin.name);
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Password').fill(gateway.admin.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('Signed in as').waitFor();

    await page.getByRole('link', { name: 'API reference' }).click();
    await page.getByLabel('Search').fill('list users');
    const call = page.locator('#Users_ListUsers');
    await call.getByText('Try it').click();
    await call.getByRole('button', { name: 'Send' }).click();
    await call.locator('.status.good').waitFor();
    assert.match((await call.locator('pre').textContent()) ?? '', /"name": "admin"/);
    assert.equal(await page.locator('article:visible').count(), 1);
    assert.deepEqual(problems, []);
  } finally {
    await browser.close();
  }
});
