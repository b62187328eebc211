// Conveniences only: every page reads and every form works without this file.

const root = document.documentElement

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]")
  if (copy) {
    await navigator.clipboard?.writeText(copy.dataset.copy)
    say(`Copied ${copy.dataset.copy}`)
  }
  const fold = event.target.closest("[data-fold]")
  if (fold) foldAll(fold)
  // A dialog closes when its backdrop is clicked
  if (event.target instanceof HTMLDialogElement) event.target.close()
})

// Theme: the server renders the choice; here it only takes effect at once
document.addEventListener("submit", (event) => {
  const form = event.target.closest("[data-theme-form]")
  if (!form) return
  event.preventDefault()
  const chosen = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")
  root.dataset.theme = chosen === "dark" ? "light" : "dark"
  const body = new FormData(form)
  body.set("theme", root.dataset.theme)
  fetch(form.action, { method: "POST", body, headers: { "HX-Request": "true" }, redirect: "manual" })
})

// A form is sent once: its button says so until the answer comes
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method === "get" || event.target.matches("[data-download]")) return
  const button = event.submitter
  if (!button || button.ariaBusy === "true") return event.preventDefault()
  button.ariaBusy = "true"
})
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[aria-busy]")) button.ariaBusy = null
})

// Fold or unfold a whole payload: <button data-fold="#payload">Fold all</button>
function foldAll(button) {
  const folds = document.querySelectorAll(`${button.dataset.fold} details`)
  const open = [...folds].some((each) => each.open)
  for (const each of folds) each.open = !open
  button.textContent = open ? "Unfold all" : "Fold all"
}

// Labels that say how many: <button><span>Replay <span data-count="#rows [name=row]" data-noun="event|events"></span></span></button>
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) {
    for (const box of document.querySelectorAll(event.target.dataset.all)) box.checked = event.target.checked
  }
  count()
})

function count() {
  for (const place of document.querySelectorAll("[data-count]")) {
    const ticked = document.querySelectorAll(`${place.dataset.count}:checked`).length
    const total = Number(place.dataset.base ?? 0) + ticked
    const [one, many] = place.dataset.noun?.split("|") ?? []
    place.textContent = total.toLocaleString("en") + (one ? ` ${total === 1 ? one : many}` : "")
    const button = place.closest("button")
    if (button && !place.dataset.base) button.disabled = total === 0
  }
}

// A menu of filters applies itself when it closes
document.addEventListener("toggle", (event) => {
  const form = event.target.closest?.("[data-filters]")
  if (!form || !event.target.matches(".menu")) return
  const chosen = new URLSearchParams(new FormData(form)).toString()
  if (event.newState === "open") form.dataset.filters = chosen
  else if (form.dataset.filters !== chosen) form.requestSubmit()
}, true)

// An address names only the filters in force
document.addEventListener("formdata", (event) => {
  if (!event.target.matches("[data-filters]")) return
  for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name)
})

// "/" goes to the search field, as the hint beside it says
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, textarea, select")) return
  event.preventDefault()
  document.querySelector("[role=search] [type=search]")?.focus()
})

// Answers of the server: a dialog that came opens, a toast that came is said and goes, a failure is said
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id === "dialogs") event.detail.target.querySelector("dialog")?.showModal()
  count()
  pass()
})
document.addEventListener("toast", (event) => say(event.detail.value))
document.addEventListener("htmx:responseError", (event) => say(refusal(event.detail.xhr.status)))
document.addEventListener("htmx:sendError", () => say("The console cannot be reached. Nothing was done."))

function refusal(status) {
  if (status === 403) return "You may not do this. Nothing was done."
  if (status === 404) return "It is gone, or not yours to see. Nothing was done."
  return "That did not work. Reload the page to see what is so."
}

function say(text) {
  const toast = Object.assign(document.createElement("p"), { className: "toast", textContent: text })
  document.querySelector("#toasts")?.append(toast)
  setTimeout(() => toast.remove(), 4000)
}

function pass() {
  for (const toast of document.querySelectorAll(".toast[data-passing]")) {
    toast.removeAttribute("data-passing")
    setTimeout(() => toast.remove(), 8000)
  }
}

count()
pass()
