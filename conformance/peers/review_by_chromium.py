"""Decides who is who on the page of reviews, in Chromium as somebody would: by
mouse and by keyboard, on a wide screen and on a narrow one, with names that
would like to be scripts.

Usage: review_by_chromium.py ORIGIN CERTIFICATE [FOLDER FOR PICTURES]
"""

import os
import sys
import time

# What the environment says of proxies is for elsewhere.
os.environ["NO_PROXY"] = "localhost,127.0.0.1"
ORIGIN, CERTIFICATE = sys.argv[1:3]
PICTURES = sys.argv[3] if len(sys.argv) > 3 else None

import requests
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

BASE, PAGE = f"{ORIGIN}/fhir", f"{ORIGIN}/identity/review"
CF = "urn:oid:2.16.840.1.113883.2.9.4.3.2"
SOURCES = ("urn:oid:1.3.6.1.4.1.99999.9.11", "urn:oid:1.3.6.1.4.1.99999.9.12")
SCRIPT = "<script>document.title='taken'</script><img src=x onerror=alert(1)>"
http = requests.Session()
http.trust_env = False
http.verify = CERTIFICATE if ORIGIN.startswith("https") else False


def fhir(method, path, body=None):
    headers = {"Content-Type": "application/fhir+json"}
    answer = http.request(method, f"{BASE}/{path}", json=body, headers=headers, timeout=30)
    assert answer.ok, answer.text
    return answer.json()


def two(code, family, given, number):
    """Feeds two records under one code whose given names are others: only people can tell."""
    ids = []
    for source, name in zip(SOURCES, given):
        patient = {
            "resourceType": "Patient", "gender": "female", "birthDate": f"19{number}-0{number % 9 + 1}-15",
            "identifier": [{"system": source, "value": f"{family[:8]}-{code}"}, {"system": CF, "value": code}],
            "name": [{"family": family, "given": [name]}],
            "address": [{"line": [f"Via Garibaldi {number}"], "city": "Genova", "postalCode": "16124"}],
            "telecom": [{"system": "phone", "value": f"010 555 01{number}"}],
        }
        ids.append(fhir("POST", "Patient", patient)["id"])
    return ids


def links(of):
    return [link["other"]["reference"] for link in fhir("GET", f"Patient/{of}").get("link", [])]


def browser(language, width):
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-proxy-server",
                     f"--window-size={width},1400", f"--lang={language}"):
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"intl.accept_languages": language})
    options.accept_insecure_certs = True
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.binary_location = "/usr/bin/chromium"
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    # Headless windows are not made as narrow as telephones.
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": width, "height": 1400, "deviceScaleFactor": 1, "mobile": False})
    driver.set_page_load_timeout(60)
    return driver


# How much texts stand out from what is behind them, by WCAG; the least of all.
CONTRAST = r"""
const light = c => { const [r, g, b] = c.map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 });
  return .2126 * r + .7152 * g + .0722 * b };
const parsed = text => text.match(/[\d.]+/g).map(Number);
const behind = e => { for (; e; e = e.parentElement) { const c = parsed(getComputedStyle(e).backgroundColor);
  if (c.length < 4 || c[3] > 0) return c.slice(0, 3) } return [255, 255, 255] };
return [...document.querySelectorAll('body *')].filter(e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()))
  .map(e => { const style = getComputedStyle(e), back = behind(e), opacity = +style.opacity;
    const front = parsed(style.color).slice(0, 3).map((c, at) => c * opacity + back[at] * (1 - opacity));
    const [a, b] = [light(front), light(back)]; return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.outerHTML.slice(0, 90)] })
  .sort((a, b) => a[0] - b[0])[0];
"""


def seen(driver, name):
    """What holds of every page, however it is looked at."""
    least, where = driver.execute_script(CONTRAST)
    assert least >= 4.5, (least, where)
    overflow = driver.execute_script("return document.scrollingElement.scrollWidth - innerWidth")
    assert overflow <= 0, f"{name}: {overflow} pixels too wide"
    assert driver.title != "taken" and not driver.find_elements(By.CSS_SELECTOR, "script, img"), name
    told = [entry["message"] for entry in driver.get_log("browser")]
    # A browser asks for an icon by itself.
    told = [text for text in told if "favicon" not in text and " 409 " not in text]
    assert not told, told
    # Each control is called something, by which it is read out.
    for control in driver.find_elements(By.CSS_SELECTOR, "button:not([hidden]), textarea, input:not([type=hidden]), a"):
        assert control.accessible_name, control.get_attribute("outerHTML")
    if PICTURES:
        height = driver.execute_script("return document.documentElement.scrollHeight")
        width = driver.execute_script("return innerWidth")
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                               {"width": width, "height": min(height, 3000), "deviceScaleFactor": 1, "mobile": False})
        driver.save_screenshot(f"{PICTURES}/{name}.png")


def article(driver, family):
    found = [one for one in driver.find_elements(By.TAG_NAME, "article") if family in one.text]
    assert len(found) == 1, (family, len(found))
    return found[0]


def settled(driver, text):
    """Waits for the page that says so."""
    until = time.monotonic() + 30
    while text not in (shown := shown_by(driver)):
        assert time.monotonic() < until, shown
        time.sleep(0.05)


def shown_by(driver):
    try:
        return driver.find_element(By.TAG_NAME, "main").text
    except WebDriverException:
        # One page goes while the next one comes.
        return ""


married = two("ZNNLCU70A41D969J", "Zunino", ("Lucia", "Teresa"), 41)
scripted = two("PRDMRA70A41D969Q", SCRIPT, ("Maria", "Chiara"), 56)
waiting = two("BTTGLI70A41D969U", "Bottaro", ("Giulia", "Elena"), 73)

wide = browser("en-GB", 1280)
narrow = browser("it-IT", 360)
try:
    wide.get(PAGE)
    seen(wide, "wide")
    assert wide.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"
    pair = article(wide, "Zunino")
    for text in ("the same identifier, and the rest does not agree", "Lucia", "Teresa", "Via Garibaldi 41"):
        assert text in pair.text, (text, pair.text)
    assert SCRIPT in article(wide, "onerror").text

    # Enter in a text decides nothing.
    name = pair.find_element(By.NAME, "agent")
    name.send_keys("Anna Bo", Keys.ENTER)
    time.sleep(0.5)
    assert not links(married[0]) and wide.current_url == PAGE, wide.current_url
    pair.find_element(By.NAME, "remark").send_keys("married, called by her second name")
    pair.find_element(By.CSS_SELECTOR, "button[value=same]").click()
    settled(wide, "Noted: the same person")
    seen(wide, "decided")
    assert [len(links(one)) for one in married] == [1, 1]
    # Who decides is remembered for the next.
    again = article(wide, "onerror")
    assert again.find_element(By.NAME, "agent").get_attribute("value") == "Anna Bo"

    # The rest by keyboard: from the remark on, the third button.
    again.find_element(By.NAME, "remark").send_keys("not one")
    keys = webdriver.ActionChains(wide)
    for key in (Keys.TAB, Keys.TAB, Keys.TAB, Keys.ENTER):
        keys.send_keys(key)
    keys.perform()
    settled(wide, "Noted: different persons")
    assert not links(scripted[0])

    narrow.get(PAGE)
    seen(narrow, "narrow")
    assert narrow.find_element(By.TAG_NAME, "html").get_attribute("lang") == "it"
    pair = article(narrow, "Bottaro")
    pair.find_element(By.NAME, "agent").send_keys("Carlo D'Amico")
    pair.find_element(By.NAME, "remark").send_keys("chiedere al reparto")
    # What was shown is another by now.
    changed = fhir("GET", f"Patient/{waiting[0]}")
    changed["telecom"] = [{"system": "phone", "value": "010 555 0102"}]
    fhir("PUT", f"Patient/{waiting[0]}", changed)
    pair.find_element(By.CSS_SELECTOR, "button[value=same]").click()
    settled(narrow, "Riguardali prima di decidere")
    seen(narrow, "changed")
    assert not links(waiting[0])
    narrow.find_element(By.LINK_TEXT, "Torna all\u2019elenco").click()
    pair = article(narrow, "Bottaro")
    pair.find_element(By.NAME, "agent").send_keys("Carlo D'Amico")
    pair.find_element(By.NAME, "remark").send_keys("chiedere al reparto")
    pair.find_element(By.CSS_SELECTOR, "button[value=later]").click()
    settled(narrow, "si decide più tardi")
    narrow.find_element(By.LINK_TEXT, "Rimandati").click()
    assert "chiedere al reparto" in article(narrow, "Bottaro").text
    seen(narrow, "later")
finally:
    wide.quit()
    narrow.quit()

# No other page may decide: what its form would send has another origin.
form = {"task": "x", "decision": "same"}
for headers in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN}, {}):
    assert http.post(PAGE, data=form, headers=headers, timeout=30).status_code == 403, headers
print("reviews by Chromium: decided, put off and refused as shown, by mouse and keyboard; nothing became markup")
